"""From what is known of all objects to one value for each store's upkeep.

What a job refers to is what its newest plan says: only what is planned is known. Besides, all that
runs: attempts, their pods, and what servings are told to load, current or on their way out.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from olive_operator.api.seen import JobSeen
from olive_operator.api.status import State, Status
from olive_operator.api.store import StoredSeen, StoreSeen, SweepSeen
from olive_operator.plan.volumes import ONE_NODE
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.kept import (
    ArtifactRecord,
    AttemptRecord,
    ChildRecord,
    ClaimRecord,
    JobRecord,
    PodRecord,
    SweepRecord,
)
from olive_operator.watch.kinds import JOB

Place = tuple[str, str]
"""Namespace and claim of a store."""


def sweeping(cache: Cache, namespace: str, claim: str) -> frozenset[str]:
    """The keys that are being removed from a store, or are about to be."""
    found: Sequence[SweepSeen] = list(cache.at("sweeps", namespace, claim).values())
    return frozenset(key for sweep in found if not sweep.over for key in sweep.keys)


def stores(cache: Cache, planned: Mapping[JobKey, JobSeen]) -> Iterator[StoreSeen]:
    """Every store of which an artifact or a sweep is known.

    Left out are those on a claim that is not there, and all of a namespace in which a job's newest
    spec was not planned. ``planned``: each job with the status that its last plan wants.
    """
    references = _References(cache, planned)
    artifacts: dict[Place, list[StoredSeen]] = defaultdict(list)
    for key in cache.keys("Artifact"):
        record: ArtifactRecord = _record(cache, "Artifact", key)
        artifacts[key[0], record.seen.claim].append(record.stored)
    for place in artifacts.keys() | references.swept:
        namespace, name = place
        claim: ClaimRecord | None = _record(cache, "PersistentVolumeClaim", place)
        if claim is None or namespace in references.unknown:
            continue
        yield StoreSeen(
            namespace=namespace,
            claim=name,
            artifacts=tuple(artifacts.get(place, ())),
            used=references.used_in(place),
            open=frozenset(references.open.get(place, ())),
            oldest=references.oldest.get(place),
            oneNode=ONE_NODE.issuperset(claim.seen.accessModes),
            sweeps=tuple(cache.at("sweeps", *place).values()),
        )


class _References:
    """What is referred to, by store, or by namespace where the store is not told.

    ``unknown``: namespaces with a job of which it is not known.
    """

    def __init__(self, cache: Cache, planned: Mapping[JobKey, JobSeen]) -> None:
        self._cache = cache
        self._used: dict[Place, set[str]] = defaultdict(set)
        self._served: dict[str, set[str]] = defaultdict(set)
        self.open: dict[Place, set[str]] = defaultdict(set)
        self.oldest: dict[Place, datetime] = {}
        self.swept: set[Place] = set()
        self.unknown: set[str] = set()
        for key in cache.keys(JOB):
            self._job(_record(cache, JOB, key), key, planned.get(key))
        for key in cache.keys("Job"):
            self._batch_job(key[0], _record(cache, "Job", key))
        for key in cache.keys("ConfigMap"):
            child: ChildRecord = _record(cache, "ConfigMap", key)
            self._served[key[0]].update(child.serves)

    def used_in(self, place: Place) -> frozenset[str]:
        """All keys that are referred to in a store."""
        pods: Sequence[PodRecord] = list(self._cache.at("holders", *place).values())
        read = (key for pod in pods for key in pod.uses)
        return frozenset((*self._used[place], *self._served[place[0]], *read))

    def _job(self, record: JobRecord, key: JobKey, planned: JobSeen | None) -> None:
        if record.seen and record.deleting:
            planned = record.seen
        if record.seen is None or planned is None or not _same(record.seen, planned):
            self.unknown.add(key[0])
            return
        self._status(key[0], planned.status)

    def _status(self, namespace: str, status: Status) -> None:
        place = (namespace, status.claim)
        for stage in status.stages:
            self._used[place].update((stage.key, stage.address))
            if stage.attempt and stage.state != State.SUCCEEDED:
                self.open[place].add(stage.address)
        if serving := status.serving:
            keys = (serving.model, *(a.key for a in serving.adapters))
            self._used[namespace, serving.claim].update(keys)

    def _batch_job(self, namespace: str, record: AttemptRecord | SweepRecord) -> None:
        if isinstance(record, SweepRecord):
            self.swept.add((namespace, record.claim))
        elif not record.seen.outcome:
            place = (namespace, record.seen.claim)
            self._used[place].update(record.uses)
            if made := record.seen.createdAt:
                self.oldest[place] = min(made, self.oldest.get(place, made))


def _same(seen: JobSeen, planned: JobSeen) -> bool:
    return (seen.uid, seen.generation) == (planned.uid, planned.generation)


def _record(cache: Cache, kind: str, key: tuple[str, str]) -> Any:
    known = cache.get(kind, key)
    return known.record if known else None
