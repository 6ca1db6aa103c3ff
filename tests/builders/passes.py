"""The operator in front of the cluster in memory: its own cache and observation, and passes whose
every effect is a step, so that a test can stop, mix and repeat them anywhere.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from builders.cluster import Cluster
from builders.objects import NAMESPACE
from builders.world import CONFIG
from olive_operator import labels, records
from olive_operator.api.seen import AttemptSeen, ClaimSeen, DeploymentSeen, JobSeen, Ref, Seen
from olive_operator.api.status import Status
from olive_operator.ask.inquiries import Answers
from olive_operator.plan import Plan, plan, sharing
from olive_operator.reconcile.notes import Notes
from olive_operator.reconcile.observe import observe
from olive_operator.reconcile.reservations import Reservations
from olive_operator.watch.kept import AttemptRecord, ChildRecord, ClaimRecord, JobRecord
from olive_operator.watch.kinds import WATCHED

Manifest = dict[str, Any]


class Conflict(Exception):  # noqa: N818 - the API server's word
    """The API server did not take the status; the pass ends here."""


class Operator:
    """``refusing``: what the API server does not take for now, attempts by their stage and else by
    kind; ``unanswered``: jobs of which the next write of the status is not answered; ``again``:
    when each job asked to be looked at; ``started``: each attempt that it made, and which others
    were at the same work, or had done it, when that was planned.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.refusing: set[str] = set()
        self.again: dict[str, datetime] = {}
        self.started: list[tuple[AttemptSeen, list[AttemptSeen]]] = []
        self.unanswered: set[str] = set()
        self._refused: dict[str, dict[Ref, str]] = {}
        self._notes = Notes()
        self._reserved = self._nothing_reserved()

    def crash(self) -> None:
        """It is another process now: it lists anew, and remembers nothing."""
        self.cluster.list_anew()
        self.again.clear()
        self._refused.clear()
        self._notes = Notes()
        self._reserved = self._nothing_reserved()

    def knows(self, name: str) -> JobSeen | None:
        """The job as it is in the cache."""
        known = self.cluster.cache.get("OptimizationJob", (NAMESPACE, name))
        return known.record.seen if known else None

    def observe(self, job: JobSeen) -> Seen:
        """What it sees of a job."""
        answers = Answers(loaded=self._loaded(job), queue="")
        refused = self._refused.get(job.name, {})
        return observe(self.cluster.cache, job, self._reserved, answers, refused)

    def asks(self) -> list[str]:
        """Jobs whose serving pods have loaded what their status does not tell yet."""
        found = []
        for name, job in self.cluster.jobs.items():
            adapters = job.status.serving.adapters if job.status.serving else ()
            loaded = self._loaded(job) or frozenset()
            if any(a.state != "Loaded" and a.key in loaded for a in adapters):
                found.append(name)
        return found

    def plan(self, job: JobSeen) -> Plan:
        return plan(self.observe(job), CONFIG, self.cluster.now)

    def work(self, name: str) -> Iterator[Plan]:
        """One pass: planned before its first step; each step is one effect. Conflict may end it.

        What follows the status goes side by side; here in one order, and a test may stop anywhere.
        """
        self.cluster.poked.pop(name, None)
        self.again.pop(name, None)
        job = self.knows(name)
        if job is None:
            self._notes.forget(_key(name))
            return
        self._announce(name, job.status)
        cache = self.cluster.cache
        known = cache.get("OptimizationJob", (NAMESPACE, name))
        version = known.version if known else 0
        found = self.plan(job)
        uids = {ref: known.uid for ref in found.delete if (known := cache.get(*_place(ref)))}
        cache.waits((NAMESPACE, name), found.waits)
        if found.again:
            self.again[name] = found.again
        attempts = [m for m in found.create if m["kind"] == "Job"]
        for attempt in self._reserved.reserve(job, attempts):
            self.cluster.poke(cache.waiting(NAMESPACE, attempt.address) - {_key(name)})
        reserved = [records.attempt(m) for m in attempts]
        rivals = {attempt.name: self._rivals(attempt, job) for attempt in reserved}
        before, refused = self._refused.get(name, {}), dict[Ref, str]()
        try:
            for manifest in found.create:
                if manifest["kind"] != "Job":
                    if not self._refuses(manifest, name, manifest["kind"], refused):
                        self._create(manifest, name)
                    yield found
            if refused.keys() - before.keys():
                self._refused[name] = refused
                return
            if found.status.to_body() != job.status.to_body():
                self._write(job, version, found.status)
                yield found
            self._refused[name] = refused
            for manifest in () if refused else attempts:
                self._start(manifest, job, rivals[manifest["metadata"]["name"]], refused)
                yield found
            for manifest in found.apply:
                if self._refuses(manifest, name, manifest["kind"], refused):
                    break
                self._apply(manifest, job)
                yield found
            for ref, uid in uids.items():
                self._delete(ref, uid)
                yield found
            if refused.keys() != before.keys():
                self.cluster.poke([_key(name)])
            if found.expired and self.cluster.is_there("OptimizationJob", name, job.uid):
                self.cluster.remove(name)
            yield found
        finally:
            for attempt in reserved:
                self._reserved.release(job, attempt)
                self.cluster.poke(cache.waiting(NAMESPACE, attempt.address) - {_key(name)})

    # Effects

    def _create(self, manifest: Manifest, job: str) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if name in self.cluster.real[kind]:
            return
        if kind == "Artifact":
            self.cluster.put(kind, name, WATCHED["Artifact"].record(manifest), by=job)
        else:
            claim = ClaimSeen(name, tuple(manifest["spec"]["accessModes"]))
            self.cluster.put(kind, name, ClaimRecord(claim), by=job)

    def _write(self, job: JobSeen, version: int, status: Status) -> None:
        real = self.cluster.real["OptimizationJob"].get(job.name)
        if real is None or real.version != version:
            self.cluster.poke([_key(job.name)])
            raise Conflict
        read = Status.from_body(json.loads(json.dumps(status.to_body())))
        record = JobRecord(replace(real.record.seen, status=read))
        if job.name in self.unanswered:  # tried again, it is a conflict with itself
            self.unanswered.discard(job.name)
            self.cluster.put("OptimizationJob", job.name, record)
            self.cluster.poke([_key(job.name)])
            raise Conflict
        self.cluster.put("OptimizationJob", job.name, record, by=job.name)
        self._announce(job.name, read)

    def _announce(self, name: str, status: Status) -> None:
        for address in sharing.freed(self._notes.announce(_key(name), status), status):
            self.cluster.poke(self.cluster.cache.waiting(NAMESPACE, address) - {_key(name)})

    def _apply(self, manifest: Manifest, job: JobSeen) -> None:
        ref = Ref.of(manifest)
        if not self.cluster.is_there("OptimizationJob", job.name, job.uid):
            return  # the garbage collector takes it away at once
        hash_ = manifest["metadata"]["annotations"][labels.APPLIED]
        deployment = self._deployed(ref, manifest) if ref.kind == "Deployment" else None
        record = ChildRecord(_key(job.name), job.uid, ref, hash_, deployment)
        before = self.cluster.cache.get(ref.kind, _key(ref.name))
        self.cluster.put(ref.kind, ref.name, record, by=job.name, owner=job.uid, manifest=manifest)
        if before is None or before.record != record:
            self.cluster.poke([_key(job.name)])

    def _deployed(self, ref: Ref, manifest: Manifest) -> DeploymentSeen:
        before = self.cluster.real["Deployment"].get(ref.name)
        known = (before.record.deployment if before else None) or DeploymentSeen()
        config = manifest["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"]
        updated = known.updated if known.config == config else 0
        says = manifest["spec"].get("replicas")
        # What is not applied any more is reset, unless it has become somebody else's.
        left = known.replicas if before and not known.pinned else 1
        return replace(
            known,
            replicas=left if says is None else says,
            pinned=says is not None,
            observed=False,
            updated=updated,
            config=config,
        )

    def _refuses(self, manifest: Manifest, job: str, by: str, refused: dict[Ref, str]) -> bool:
        if by not in self.refusing:
            return False
        refused[Ref.of(manifest)] = "exceeded quota"
        self.cluster.poke([_key(job)])
        return True

    def _start(
        self, manifest: Manifest, job: JobSeen, rivals: list[AttemptSeen], refused: dict[Ref, str]
    ) -> None:
        name, cluster = manifest["metadata"]["name"], self.cluster
        attempt = replace(records.attempt(manifest), createdAt=cluster.now)
        if self._refuses(manifest, job.name, attempt.stage, refused):
            return
        if name not in cluster.real["Job"] and cluster.is_there(
            "OptimizationJob", job.name, job.uid
        ):
            self.started.append((attempt, rivals))
            uid = cluster.unique("Job")
            record = AttemptRecord(_key(job.name), uid, job.uid, attempt)
            cluster.put("Job", name, record, by=job.name, uid=uid, owner=job.uid, manifest=manifest)
            if attempt.suspended:
                cluster.poke([_key(job.name)])

    def _delete(self, ref: Ref, uid: str) -> None:
        if not self.cluster.is_there(ref.kind, ref.name, uid):
            return
        if ref.kind == "Job":
            self.cluster.end(ref.name)
        else:
            self.cluster.drop(ref.kind, ref.name)

    # What is asked

    def _rivals(self, attempt: AttemptSeen, job: JobSeen) -> list[AttemptSeen]:
        """The attempts at the same work that are there, and are to be, or have done it."""
        place = attempt.claim, attempt.address
        there = [*self.cluster.under_way(), *self._done(job.uid, attempt.stage)]
        same = [a for a in there if (a.claim, a.address) == place]
        return [a for a in same if a.made or not a.deleting]

    def _done(self, uid: str, stage: str) -> Iterator[AttemptSeen]:
        """Of its own job, what has done the stage; of others, what they still count: but every job
        fetches for itself."""
        for job in self.cluster.jobs.values():
            for attempt in self.cluster.attempts(job.name):
                known = job.status.stage_named(attempt.stage)
                work = known and (job.status.claim, known.address, known.kind != "fetch")
                counts = work == (attempt.claim, attempt.address, True)
                if attempt.made and (attempt.stage == stage if job.uid == uid else counts):
                    yield attempt

    def serves(self, job: JobSeen) -> set[str]:
        """The names of the adapters that the newest pods are to offer."""
        return {a["name"] for a in self._served(job)}

    def _loaded(self, job: JobSeen) -> frozenset[str] | None:
        """What every serving pod says that it has; None while one does not answer."""
        found = self.cluster.real["Deployment"].get(f"{job.name}-serving")
        seen: DeploymentSeen | None = found.record.deployment if found else None
        if seen is None or not 0 < seen.replicas <= seen.ready:
            return None
        return frozenset(a["key"] for a in self._served(job))

    def _served(self, job: JobSeen) -> list[dict[str, str]]:
        found = self.cluster.real["Deployment"].get(f"{job.name}-serving")
        config = found and self.cluster.real["ConfigMap"].get(found.record.deployment.config)
        if not config:
            return []
        adapters: list[dict[str, str]] = json.loads(config.manifest["data"]["serving.json"])[
            "adapters"
        ]
        return adapters

    def _nothing_reserved(self) -> Reservations:
        return Reservations(lambda: self.cluster.now.timestamp())


def _key(name: str) -> tuple[str, str]:
    return NAMESPACE, name


def _place(ref: Ref) -> tuple[str, tuple[str, str]]:
    return ref.kind, _key(ref.name)
