"""From what is known of one job and its children to one value for the plan.

Everything is in memory; nothing here asks the API server.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace

from olive_operator.api.seen import (
    AttemptSeen,
    Builder,
    ClaimSeen,
    Holder,
    JobSeen,
    PodSeen,
    Ref,
    Seen,
)
from olive_operator.api.status import StageStatus
from olive_operator.ask.inquiries import Answers
from olive_operator.plan.attempts import told
from olive_operator.plan.graph import claim_of
from olive_operator.plan.pods import POD_REFUSED
from olive_operator.plan.waits import FOR_INPUTS
from olive_operator.reconcile.observe_store import sweeping
from olive_operator.reconcile.reservations import Reservations
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.kept import (
    AttemptRecord,
    ChildRecord,
    ClaimRecord,
    JobRecord,
    PodRecord,
)
from olive_operator.watch.kinds import JOB


def observe(
    cache: Cache,
    job: JobSeen,
    reserved: Reservations,
    answers: Answers,
    refused: Mapping[Ref, str],
) -> Seen:
    """One value for the plan.

    Children of an earlier job of this name are not this job's, nor are an earlier attempt's pods.
    """
    key, namespace, claim = (job.namespace, job.name), job.namespace, claim_of(job.spec)
    pods = _pods(cache, key)
    attempts: list[AttemptRecord] = list(cache.at("attempts", key).values())
    known: list[ChildRecord] = list(cache.at("children", key).values())
    children = [child for child in known if child.owner == job.uid]
    claims = _claims(cache, job, claim)
    return Seen(
        job=job,
        attempts=tuple(_with_pod(a, pods) for a in attempts if a.owner == job.uid),
        artifacts=cache.at("artifacts", namespace, claim),
        applied={c.ref: c.applied for c in children},
        deployment=next((c.deployment for c in children if c.deployment), None),
        claims=claims,
        holders=_holders(cache, namespace, claim, claims.get(claim)),
        others=Others(cache, reserved, job, claim),
        sweeping=sweeping(cache, namespace, claim),
        refused=refused,
        said=answers.said,
        progress=answers.progress,
        loaded=answers.loaded,
        queue=answers.queue,
    )


def has_news(cache: Cache, key: JobKey) -> bool:
    """Whether an attempt of the job has ended of which its status does not tell."""
    known, pods = cache.get(JOB, key), _pods(cache, key)
    job: JobSeen | None = known.record.seen if known else None
    records: list[AttemptRecord] = list(cache.at("attempts", key).values())
    attempts = (_with_pod(record, pods) for record in records)
    return job is not None and any(
        a.ended and not _told(job.status.stage_named(a.stage), a) for a in attempts
    )


def _told(stage: StageStatus | None, attempt: AttemptSeen) -> bool:
    """Whether the status of its stage tells what has come of the attempt."""
    return stage is not None and stage.address == attempt.address and told(stage, attempt)


def _will_tell(stage: StageStatus | None, attempt: AttemptSeen) -> bool:
    """Whether its job's next pass tells what has come of an attempt that has ended."""
    if stage is None or stage.reason != FOR_INPUTS:
        return True
    return attempt.made is not None and stage.address == attempt.address


def _with_pod(record: AttemptRecord, pods: Mapping[str, PodSeen]) -> AttemptSeen:
    """The attempt with its pod, if that is there. ``pods`` of its job, by the attempt's uid."""
    pod = pods.get(record.uid)
    return replace(record.seen, pod=pod) if pod else record.seen


def _pods(cache: Cache, key: JobKey) -> dict[str, PodSeen]:
    """The pods of the job's stages by the uid of their attempt."""
    records: list[PodRecord] = list(cache.at("pods", key).values())
    return {record.attempt: record.seen for record in records}


def _claims(cache: Cache, job: JobSeen, claim: str) -> dict[str, ClaimSeen]:
    """The claims that the job works on and serves from, as far as they are there."""
    served = job.status.serving.claim if job.status.serving else ""
    known = (cache.get("PersistentVolumeClaim", (job.namespace, n)) for n in {claim, served})
    records: list[ClaimRecord] = [k.record for k in known if k]
    return {record.seen.name: record.seen for record in records}


def _holders(
    cache: Cache, namespace: str, claim: str, found: ClaimSeen | None
) -> tuple[Holder, ...]:
    """Who uses the claim, where that matters: one that all nodes can mount may have thousands."""
    if found and "ReadWriteMany" in found.accessModes:
        return ()
    records: list[PodRecord] = list(cache.at("holders", namespace, claim).values())
    return tuple(record.holder for record in records)


class Others(Mapping[str, Builder]):
    """Attempts of other jobs by address, looked up when they are asked for.

    Those count of which their job's status does not tell yet: what one has made is recorded before.
    And pods count that outlast their attempt: with their job, attempts go before their pods do.
    """

    def __init__(self, cache: Cache, reserved: Reservations, job: JobSeen, claim: str) -> None:
        self._cache, self._reserved, self._job, self._claim = cache, reserved, job, claim

    def __getitem__(self, address: str) -> Builder:
        """Of several attempts, the oldest that has begun; or else the youngest.

        That was made because those before it may never begin; it may be on its way still.
        """
        building = self._building(address)
        under_way = [(r, a) for r, a in building if self._open(r, a)]
        others = [(r, a) for r, a in under_way if r.owner != self._job.uid]
        asked = frozenset(attempt.template for _, attempt in others)
        theirs = [Builder(r.job[1], a, refused=self._refused(r), asked=asked) for r, a in others]
        theirs.sort(key=lambda other: str(other.attempt.createdAt))
        if begun := next((other for other in theirs if other.attempt.begun), None):
            return begun
        ending = self._ending(address, {record.uid for record, _ in under_way})
        ending = ending or self._withdrawn(building)
        last = theirs[-1] if theirs else None
        found = ending or self._reserved.by_another(self._job, self._claim, address) or last
        if found is None:
            raise KeyError(address)
        return found

    def __iter__(self) -> Iterator[str]:
        raise TypeError("only for look-ups: there may be thousands")

    def __len__(self) -> int:
        raise TypeError("only for look-ups: there may be thousands")

    def _building(self, address: str) -> list[tuple[AttemptRecord, AttemptSeen]]:
        """Attempts at this work, each as it is kept and with its pod."""
        place = self._cache.at("building", self._job.namespace, self._claim, address)
        records: list[AttemptRecord] = list(place.values())
        return [(record, _with_pod(record, _pods(self._cache, record.job))) for record in records]

    def _owner(self, record: AttemptRecord) -> JobRecord | None:
        """The attempt's job, while it is there."""
        known = self._cache.get(JOB, record.job)
        job: JobRecord | None = known.record if known else None
        return job if job and job.seen and job.seen.uid == record.owner else None

    def _open(self, record: AttemptRecord, attempt: AttemptSeen) -> bool:
        """Its job's status does not tell of it, and will: that of one that is deleted tells nothing
        more, and one that does not know now whether it wants it tells only what it has made. So it
        is with an attempt that is being deleted."""
        job = self._owner(record)
        if job is None or job.seen is None or (attempt.deleting and not attempt.made):
            return False
        stage = job.seen.status.stage_named(attempt.stage)
        if attempt.ended and (job.deleting or not _will_tell(stage, attempt)):
            return False
        return not _told(stage, attempt)

    def _refused(self, record: AttemptRecord) -> bool:
        """Its job says that it gets no pod."""
        job = self._owner(record)
        stage = job.seen.status.stage_named(record.seen.stage) if job and job.seen else None
        attempt = stage and (stage.address, stage.attempt, stage.reason)
        return attempt == (record.seen.address, record.seen.number, POD_REFUSED)

    def _withdrawn(self, building: list[tuple[AttemptRecord, AttemptSeen]]) -> Builder | None:
        """An attempt that its job has given up, or that outlives its job: its pod may still come,
        until it is gone, which will be soon."""
        for record, attempt in building:
            theirs, given_up = record.owner != self._job.uid, not self._open(record, attempt)
            if theirs and given_up and not attempt.ended:
                return Builder(record.job[1], attempt, ending=True)
        return None

    def _ending(self, address: str, under_way: Set[str]) -> Builder | None:
        """A pod that is still there, though its attempt is none of those that are under way."""
        place = self._cache.at("making", self._job.namespace, self._claim, address)
        pods: list[PodRecord] = list(place.values())
        for pod in pods:
            if pod.attempt not in under_way:
                last = AttemptSeen(pod.seen.name, "", address, 0, claim=self._claim, pod=pod.seen)
                return Builder(pod.job[1], last, ending=True)
        return None
