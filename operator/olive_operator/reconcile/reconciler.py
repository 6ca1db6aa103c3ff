"""The loop: take a job from the queue, observe, plan, carry out, and say when to look again."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from olive_operator import metrics, records
from olive_operator.api.seen import AttemptSeen, JobSeen, Ref, Seen
from olive_operator.api.status import State, Status
from olive_operator.ask.inquiries import Inquiries, Questions
from olive_operator.client.apiserver import ApiError
from olive_operator.client.cluster import Cluster, Manifest
from olive_operator.config import Config
from olive_operator.plan import Plan, plan, sharing
from olive_operator.plan.graph import claim_of
from olive_operator.reconcile import urgency
from olive_operator.reconcile.carry_out import Done, Objects, carry_out, tell_refusal
from olive_operator.reconcile.notes import Notes
from olive_operator.reconcile.observe import has_news, observe
from olive_operator.reconcile.orphans import Orphans
from olive_operator.reconcile.reservations import Reservations
from olive_operator.scheduling.queue import Queue
from olive_operator.watch import kept, kinds
from olive_operator.watch.cache import Cache, JobKey, Known
from olive_operator.watch.kept import JobRecord
from olive_operator.watch.kinds import JOB, WATCHED

log = logging.getLogger("olive.reconcile")

WORKERS = 32
_SILENT_AFTER = timedelta(seconds=30)
"""A Job whose pod has not come by then may have been refused one: an Event says why. Where much is
made at once pods take a while, and listing events is dear."""


class Reconciler:
    """Brings one job after the other a step nearer to its spec."""

    def __init__(
        self,
        queue: Queue[JobKey],
        cache: Cache,
        cluster: Cluster,
        config: Config,
        doubt: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        trace: Callable[[JobSeen, Status, datetime], None] = lambda *_: None,
    ) -> None:
        """``doubt`` is called where a job that is known may be gone, ``trace`` for each status."""
        self._queue, self._cache, self._cluster = queue, cache, cluster
        self._config, self._doubt, self._clock, self._trace = config, doubt, clock, trace
        self._inquiries = Inquiries(cluster, queue, config.progressSeconds)
        self._reserved = Reservations(time.monotonic)
        self._notes, self._orphans = Notes(), Orphans(cache, cluster, doubt)
        self.planned: dict[JobKey, JobSeen] = {}

    async def run(self) -> None:
        """Work until ``stop``, and then end the passes that are under way.

        At the start every job is due: those for which something has happened meanwhile come first.
        """
        self._queue.prefer(key for key in self._cache.keys(JOB) if has_news(self._cache, key))
        asking = asyncio.create_task(self._inquiries.run(), name="inquiries")
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(self._work())
        finally:
            asking.cancel()

    def stop(self) -> None:
        """Take no further job."""
        self._queue.close()

    async def _work(self) -> None:
        while (got := await self._queue.get()) is not None:
            key, waited = got
            metrics.QUEUE_SECONDS.observe(waited)
            started = time.perf_counter()
            try:
                await self.reconcile(key)
            except Exception as error:
                self._try_again(key, error)
                if isinstance(error, ApiError) and not error.passing:
                    await self._tell(key, error)
            finally:
                self._queue.done(key)
                metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)

    async def reconcile(self, key: JobKey) -> None:
        """One pass over one job."""
        await self._clear_orphans(key)
        known = self._cache.get(JOB, key)
        record: JobRecord | None = known.record if known else None
        if known is None or record is None or record.deleting:
            self._forget(key)
            return
        if record.seen is None:
            raise ValueError(record.mistake)
        self._announce(key, record.seen.status)
        seen, now = self._observe(key, record.seen), self._clock()
        found = plan(seen, self._config, now)
        self._cache.waits(key, found.waits | {kept.claim_text(claim_of(record.seen.spec))})
        self._inquiries.ask(key, self._questions(key, seen, found, now))
        same = found.status == record.seen.status
        self.planned[key] = record.seen if same else replace(record.seen, status=found.status)
        write = self._is_time(key, urgency.wait(record.seen.status, found))
        attempts = [m for m in found.create if m["kind"] == "Job"]
        self._free(key, self._reserved.reserve(record.seen, attempts))
        what, done = self._objects(known, record.seen), Done()
        try:
            await carry_out(self._cluster, what, found, write, now, done)
        finally:
            self._settle(record.seen, found, attempts, done)
        self._come_again(key, found.again, now, done)

    async def _clear_orphans(self, key: JobKey) -> None:
        known = self._cache.get(JOB, key)
        if known and known.record.deleting:
            return  # its children go before it does
        left = await self._orphans.look(key, known.uid if known else "")
        if left is not None:
            self._queue.add_after(key, left)

    def _observe(self, key: JobKey, job: JobSeen) -> Seen:
        answers = self._inquiries.answers(key, job.spec.queue)
        return observe(self._cache, job, self._reserved, answers, self._notes.refused(key))

    def _is_time(self, key: JobKey, wait: float | None) -> bool:
        """Whether the status is written in this pass; if later, the job comes again for it."""
        if wait is None:
            return False
        left = self._notes.left(key, wait)
        if left > 0:
            self._queue.add_after(key, left)
        return left == 0

    def _objects(self, known: Known, job: JobSeen) -> Objects:
        def uid(ref: Ref) -> str:
            found = self._cache.get(ref.kind, (job.namespace, ref.name))
            return found.uid if found else ""

        key = (job.namespace, job.name)
        return Objects(job, known.version, uid, self._notes.refused(key).keys())

    def _questions(self, key: JobKey, seen: Seen, found: Plan, now: datetime) -> Questions:
        """What only asking tells: never more than is open."""
        attempts = [a for a in seen.attempts if not a.ended]
        for attempt in attempts:
            if attempt.pod is None and attempt.createdAt and not attempt.suspended:
                left = (attempt.createdAt + _SILENT_AFTER - now).total_seconds()
                if left > 0:
                    self._queue.add_after(key, left)
        serving = found.status.serving
        waits = any(s.state == State.PENDING for s in found.status.stages)
        loading = serving is not None and any(a.state != "Loaded" for a in serving.adapters)
        return Questions(
            running=tuple(a.pod.name for a in attempts if a.pod and a.pod.running),
            serving=tuple(self._cache.at("answering", key).values()) if loading else (),
            without_pod=tuple(a.name for a in attempts if _silent(a, now)),
            queue=seen.job.spec.queue or "" if waits else "",
        )

    def _free(self, key: JobKey, attempts: Iterable[AttemptSeen]) -> None:
        """Nobody waits for these any more: they were asked for, and will not be made."""
        for attempt in attempts:
            self._poke_others(key, self._cache.waiting(key[0], attempt.address))

    def _settle(self, job: JobSeen, found: Plan, attempts: list[Manifest], done: Done) -> None:
        """What was written is known now; attempts that were refused keep nobody waiting."""
        key = (job.namespace, job.name)
        queued = (m for m in attempts if m["spec"].get("suspend"))
        changes = {Ref.of(m) for m in (*found.apply, *queued)}
        for manifest in done.objects:
            concerned = self._keep(manifest)
            self._poke_others(key, concerned)
            if key in concerned and Ref.of(manifest) in changes:
                self._queue.add(key)  # the status does not tell of it yet
        if done.version:
            self._wrote(job, found.status, done.version)
        known = self._notes.refused(key)
        claims = {ref for ref in done.refused if ref.kind == "PersistentVolumeClaim"}
        for attempt in map(records.attempt, attempts):
            self._queue.add_after(key, _SILENT_AFTER.total_seconds())
            if self._cache.get("Job", (job.namespace, attempt.name)):
                self._reserved.release(job, attempt)
            elif refused := done.refused.keys() & {Ref("Job", attempt.name), *claims}:
                self._reserved.release(job, attempt)
                # Once: two jobs that are refused the same would have each other try for ever.
                if refused - known.keys():
                    self._poke_others(key, self._cache.waiting(job.namespace, attempt.address))

    def _keep(self, manifest: Manifest) -> set[JobKey]:
        """An object as the API server has answered it: nobody needs to wait for the watch."""
        kind, key = manifest["kind"], kinds.key_of(manifest)
        version, uid = kinds.version_of(manifest), manifest["metadata"]["uid"]
        known = self._cache.get(kind, key)
        if known and known.version >= version:
            return set()  # its watch was faster
        return self._cache.made(kind, key, version, uid, WATCHED[kind].record(manifest))

    def _wrote(self, job: JobSeen, status: Status, version: int) -> None:
        """The job has this status now, whenever its watch may tell so."""
        key, known = (job.namespace, job.name), self._cache.get(JOB, (job.namespace, job.name))
        if known and known.uid == job.uid and known.version < version:
            record = JobRecord(replace(job, status=status))
            self._cache.put(JOB, key, version, job.uid, record)
        self._notes.wrote(key)
        metrics.count(job, status)
        self._trace(job, status, self._clock())
        self._announce(key, status)

    def _announce(self, key: JobKey, status: Status) -> None:
        """Where this job gives way now, others may begin: also if the answer to the write was lost
        that said so, and its watch told of it."""
        for address in sharing.freed(self._notes.announce(key, status), status):
            self._poke_others(key, self._cache.waiting(key[0], address))

    def _poke_others(self, key: JobKey, keys: Set[JobKey]) -> None:
        for other in keys - {key}:
            self._queue.add(other)

    def _come_again(self, key: JobKey, again: datetime | None, now: datetime, done: Done) -> None:
        """When the plan says so; later each time where it was late, or something was refused."""
        late = done.stale or (again is not None and again <= now)
        if not done.stale and self._notes.refuse(key, done.refused):
            self._queue.add(key)  # its status has to tell
        if late and self._notes.failures(key):  # not for the first time: is the job there?
            self._doubt()
        if late or done.refused:
            self._queue.add_after(key, self._notes.failed(key))
        else:
            self._notes.went_well(key)
        if again is not None and again > now:
            self._queue.add_after(key, (again - now).total_seconds())

    def _try_again(self, key: JobKey, error: Exception) -> None:
        """Later each time; the reason stands in the log in one line, unless it is everybody's."""
        metrics.RECONCILE_ERRORS.inc()
        delay = self._notes.failed(key)
        if not (isinstance(error, ApiError) and error.passing):
            log.warning(
                "%s/%s: %s: %s; tried again in %.0f s",
                *key,
                type(error).__name__,
                error,
                delay,
                exc_info=log.isEnabledFor(logging.DEBUG),
            )
        self._queue.add_after(key, delay)

    async def _tell(self, key: JobKey, error: ApiError) -> None:
        known = self._cache.get(JOB, key)
        if known and known.record.seen:
            await tell_refusal(self._cluster, known.record.seen, error, self._clock())

    def _forget(self, key: JobKey) -> None:
        self._cache.waits(key, frozenset())
        self._inquiries.forget(key)
        self._notes.forget(key)
        self._free(key, self._reserved.forget(key))
        self.planned.pop(key, None)


def _silent(attempt: AttemptSeen, now: datetime) -> bool:
    created = attempt.createdAt
    late = created is not None and now - created >= _SILENT_AFTER
    return late and attempt.pod is None and not attempt.suspended
