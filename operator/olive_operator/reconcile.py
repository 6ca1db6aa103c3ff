"""The loop: take a job from the queue, observe, plan, carry out, and say when to look again."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from olive_contract.stage import Progress
from olive_operator import metrics
from olive_operator.api.seen import ArtifactSeen, PodSeen
from olive_operator.api.status import AdapterStatus
from olive_operator.carry_out import carry_out
from olive_operator.cluster import Cluster
from olive_operator.config import Config
from olive_operator.observe import Records, observe
from olive_operator.plan import Plan, plan
from olive_operator.queue import Queue
from olive_operator.records import JobKey, ServingPod, artifact, trimmed_job

log = logging.getLogger("olive.reconcile")

WORKERS = 8
_LONGEST_BACKOFF = 60.0
_WATCH_LAG = timedelta(seconds=10)
"""A watch is seldom so late; a record that somebody deletes within it is missed so much later."""


class Index(Protocol):
    """The records of every job: kopf's indexes behind one door."""

    def records(self, key: JobKey) -> Records | None:
        """What is known of a job, None if there is no such job."""

    def serving_pods(self, key: JobKey) -> list[ServingPod]:
        """The job's serving pods that answer."""


class Reconciler:
    """Brings one job after the other a step nearer to its spec."""

    def __init__(
        self,
        queue: Queue[JobKey],
        index: Index,
        cluster: Cluster,
        config: Config,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._queue, self._index, self._cluster = queue, index, cluster
        self._config, self._clock = config, clock
        self._written: dict[JobKey, dict[str, Any]] = {}
        self._failures: dict[JobKey, int] = {}
        self._progress: dict[JobKey, dict[str, Progress]] = {}
        self._made: dict[JobKey, dict[ArtifactSeen, datetime]] = {}
        self.phases = metrics.Phases()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key, waited = await self._queue.get()
            metrics.QUEUE_SECONDS.observe(waited)
            started = time.perf_counter()
            try:
                await self.reconcile(key)
                self._failures.pop(key, None)
            except Exception as error:
                self._back_off(key, error)
            finally:
                self._queue.done(key)
                metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)

    def _back_off(self, key: JobKey, error: Exception) -> None:
        """The pass is tried again, later each time; the reason stands in the log in one line."""
        metrics.RECONCILE_ERRORS.inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(0.5 * 2**failures, _LONGEST_BACKOFF)
        log.warning(
            "%s/%s: %s: %s; tried again in %.0f s",
            *key,
            type(error).__name__,
            error,
            delay,
            exc_info=log.isEnabledFor(logging.DEBUG),
        )
        self._queue.add_after(key, delay)

    async def reconcile(self, key: JobKey) -> None:
        """One pass over one job."""
        records = self._index.records(key)
        if records is None or records.job["metadata"]["deleting"]:
            self._forget(key)
            return
        records = self._newest(key, records)
        records = replace(
            records,
            artifacts=[*records.artifacts, *self._just_made(key)],
            progress=await self._follow(key, records),
            loaded=await self._loaded(key, records),
        )
        seen = observe(records)
        now = self._clock()
        found = plan(seen, self._config, now)
        written = await carry_out(self._cluster, seen.job, found, now)
        if written:
            self._written[key] = trimmed_job(written)
            metrics.count(key[0], seen.job.status, found.status)
        self._remember(key, found, now)
        self.phases.of[key] = found.status.phase
        if found.again:
            self._queue.add_after(key, max((found.again - now).total_seconds(), 0))
        if self._to_follow(records) or _loading(found.status.serving):
            self._queue.add_after(key, self._config.progressSeconds)

    def _forget(self, key: JobKey) -> None:
        for known in (self._written, self._failures, self._progress, self._made, self.phases.of):
            known.pop(key, None)

    def _newest(self, key: JobKey, records: Records) -> Records:
        """With the job as it was last written, while the watch has not brought that yet."""
        written = self._written.get(key)
        if written and written["metadata"]["uid"] == records.job["metadata"]["uid"]:
            if _version(written) > _version(records.job):
                return replace(records, job=written)
            del self._written[key]
        return records

    def _just_made(self, key: JobKey) -> list[ArtifactSeen]:
        """Records of artifacts that we have created and the watch may not have brought yet."""
        made, now = self._made.get(key, {}), self._clock()
        return [record for record, until in made.items() if now < until]

    def _remember(self, key: JobKey, plan: Plan, now: datetime) -> None:
        gone = {ref.name for ref in plan.delete if ref.kind == "Artifact"}
        made = self._made.get(key, {})
        kept = {r: until for r, until in made.items() if now < until and r.name not in gone}
        created = [artifact(m) for m in plan.create if m["kind"] == "Artifact"]
        self._made[key] = {**kept, **dict.fromkeys(created, now + _WATCH_LAG)}

    async def _follow(self, key: JobKey, records: Records) -> dict[str, Progress]:
        """The last progress line of every running pod, read from its log."""
        running = self._to_follow(records)
        logs = await asyncio.gather(*(self._cluster.log(key[0], pod.name) for pod in running))
        known = self._progress.get(key, {})
        found = {
            pod.name: progress
            for pod, lines in zip(running, logs, strict=True)
            if (progress := _last_progress(lines) or known.get(pod.name))
        }
        self._progress[key] = found
        return found

    @staticmethod
    def _to_follow(records: Records) -> list[PodSeen]:
        return [pod for _, pod in records.pods if pod.running]

    async def _loaded(self, key: JobKey, records: Records) -> frozenset[str] | None:
        """The adapters that every serving pod has, asked only while some are not known to be."""
        status = records.job["status"].get("serving") or {}
        adapters = [AdapterStatus(**a) for a in status.get("adapters") or []]
        if all(a.state == "Loaded" for a in adapters):
            return None
        pods = self._index.serving_pods(key)
        answers = await asyncio.gather(*(self._cluster.served(pod.address) for pod in pods))
        known = [a for a in answers if a is not None]
        if not known or len(known) < len(pods):
            return None
        return frozenset.intersection(*known)


def _loading(serving: Any) -> bool:
    return serving is not None and any(a.state != "Loaded" for a in serving.adapters)


def _last_progress(lines: list[str]) -> Progress | None:
    found = (Progress.from_line(line) for line in reversed(lines))
    return next((p for p in found if p), None)


def _version(job: Any) -> int:
    """Resource versions are comparable integers (KEP-5504)."""
    return int(job["metadata"]["resourceVersion"])
