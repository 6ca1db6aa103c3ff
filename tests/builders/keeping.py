"""The second loop in front of the cluster in memory: the operator's own, effect by effect.

Before each of its requests the loop can be left standing, for as long as a test likes, or for ever.
"""

from collections.abc import Coroutine, Generator
from dataclasses import replace
from datetime import datetime
from typing import Any

from builders.cluster import Cluster, given_to
from builders.objects import NAMESPACE, Thing
from builders.passes import Operator
from builders.world import CONFIG
from olive_contract.sweep import Sweep
from olive_operator import labels, records
from olive_operator.api.seen import AttemptSeen, JobSeen, Ref
from olive_operator.api.status import State
from olive_operator.client.apiserver import ApiError
from olive_operator.config import Retention
from olive_operator.plan import Plan
from olive_operator.reconcile.stores import Stores
from olive_operator.watch import kinds
from olive_operator.watch.cache import JobKey, Record
from olive_operator.watch.kept import ArtifactRecord, AttemptRecord, SweepRecord

Manifest = dict[str, Any]


class Swept(Cluster):
    """A cluster with sweeps among its batch/v1 Jobs. ``broken``: what a sweep took from a user."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: list[str] = []

    def attempts(self, job: str = "") -> list[AttemptSeen]:
        jobs = self.real["Job"]
        self.real["Job"] = {n: t for n, t in jobs.items() if isinstance(t.record, AttemptRecord)}
        try:
            return super().attempts(job)
        finally:
            self.real["Job"] = jobs

    def put(self, kind: str, name: str, record: Record, *, by: str = "", **new: Any) -> Thing:
        """As the watches would bring it: with what attempts use, and the time of a record."""
        if isinstance(record, AttemptRecord) and (made := new.get("manifest")):
            record = replace(record, uses=records.uses(made["spec"]["template"]["spec"]))
        if isinstance(record, ArtifactRecord) and record.stored.createdAt is None:
            record = replace(record, stored=replace(record.stored, createdAt=self.now))
        return super().put(kind, name, record, by=by, **new)

    @property
    def artifacts(self) -> dict[str, ArtifactRecord]:
        return {name: thing.record for name, thing in self.real["Artifact"].items()}

    @property
    def sweeps(self) -> dict[str, SweepRecord]:
        jobs = self.real["Job"].items()
        return {name: t.record for name, t in jobs if isinstance(t.record, SweepRecord)}

    def sweep(self, name: str, steps: int = 1000) -> None:
        """The sweep's pod removes some artifacts, if it may run; all, and the Job is Complete."""
        record = self.sweeps[name]
        if record.seen.suspended or record.seen.outcome:
            return
        given = self.real["Job"][name].manifest["spec"]["template"]["spec"]["containers"][0]
        for key in Sweep.from_json(given["args"][1]).keys:
            if steps and (record.claim, key) in self.store:
                steps -= 1
                self.broken += self._users(record.claim, key)
                self.store.discard((record.claim, key))
        if steps:
            over = replace(record.seen, outcome="Complete", endedAt=self.now)
            self.put("Job", name, replace(record, seen=over))

    def _users(self, claim: str, key: str) -> list[str]:
        """Who works with the artifact that is being removed, or counts on it."""
        found = [
            a.name
            for a in self.under_way()
            if a.claim == claim and key in given_to(self.real["Job"][a.name]).inputs.values()
        ]
        found += [
            f"{name}, stage {stage.name}"
            for name, job in self.jobs.items()
            for stage in job.status.stages
            if (job.status.claim, stage.key, stage.state) == (claim, key, State.SUCCEEDED)
            and stage.reason != "NotNeeded"
        ]
        for name, thing in self.real["ConfigMap"].items():
            if key in records.served(thing.manifest):
                found.append(name)
        return [f"{key[:8]} of {user}" for user in found]


class Planner(Operator):
    """Remembers what was planned last of each job."""

    def __init__(self, cluster: Swept) -> None:
        self.planned: dict[JobKey, JobSeen] = {}
        super().__init__(cluster)

    def plan(self, job: JobSeen) -> Plan:
        found = super().plan(job)
        self.planned[NAMESPACE, job.name] = replace(job, status=found.status)
        return found

    def crash(self) -> None:
        self.planned.clear()
        super().crash()


class Keeper:
    """The loop over stores. A look that is left standing goes on, or is forgotten in a crash.

    ``failing``: what the API server answers to whoever creates something.
    """

    def __init__(self, cluster: Swept, operator: Planner, policy: Retention) -> None:
        self._cluster, self._operator = cluster, operator
        self._config = replace(CONFIG, store=policy)
        self._look: Coroutine[Any, Any, bool] | None = None
        self.failing: ApiError | None = None

    def step(self, effects: int = 1000) -> int:
        """So many effects of the look that is under way, or of a new one; how many there were."""
        api, cluster = _Api(self._cluster, self.failing), self._cluster
        stores = Stores(
            cluster.cache, api, self._config, self._operator.planned, cluster.poke, self._now
        )
        self._look = self._look or stores.look()
        for done in range(effects + 1):
            try:
                self._look.send(None)
            except StopIteration:
                self._look = None
                return done
        return effects

    def crash(self) -> None:
        """The process is gone."""
        if self._look:
            self._look.close()
            self._look = None

    def _now(self) -> datetime:
        return self._cluster.now


class _Turn:
    """Lets the test decide when the request is made."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class _Api:
    """What the loop asks of the API server, in memory."""

    def __init__(self, cluster: Swept, failing: ApiError | None) -> None:
        self._cluster, self._failing = cluster, failing

    async def create(self, manifest: Manifest) -> Manifest | None:
        await _Turn()
        if self._failing:
            raise self._failing
        name, cluster = manifest["metadata"]["name"], self._cluster
        if name in cluster.real["Job"]:
            return None
        thing = cluster.put("Job", name, kinds.sweep(manifest), manifest=manifest)
        return _body(manifest, thing)

    async def patch(self, namespace: str, ref: Ref, patch: Manifest) -> Manifest | None:
        await _Turn()
        cluster, uid = self._cluster, patch["metadata"]["uid"]
        if not cluster.is_there(ref.kind, ref.name, uid):
            return None
        thing = cluster.real[ref.kind][ref.name]
        if ref.kind == "Job":
            seen = replace(thing.record.seen, suspended=patch["spec"]["suspend"])
            cluster.put("Job", ref.name, replace(thing.record, seen=seen))
            return None  # the watch brings it, when it does
        since = patch["metadata"]["annotations"][labels.UNUSED_SINCE]
        at = datetime.fromisoformat(since) if since else None
        stored = replace(thing.record.stored, unusedSince=at)
        cluster.put("Artifact", ref.name, replace(thing.record, stored=stored))
        return None

    async def delete(self, namespace: str, ref: Ref, uid: str, version: int = 0) -> None:
        await _Turn()
        if self._cluster.is_there(ref.kind, ref.name, uid):
            self._cluster.drop(ref.kind, ref.name)


def _body(manifest: Manifest, thing: Thing) -> Manifest:
    meta = {**manifest["metadata"], "uid": thing.uid, "resourceVersion": str(thing.version)}
    return {**manifest, "metadata": meta}
