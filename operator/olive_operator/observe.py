"""From the records of one job and its children to one frozen value for the plan.

The records are what kopf's in-memory indexes hold; nothing here asks the API server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from olive_contract.stage import Progress
from olive_operator import names
from olive_operator.api.seen import (
    ArtifactSeen,
    DeploymentSeen,
    JobSeen,
    PodSeen,
    Ref,
    Seen,
)
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status
from olive_operator.plan.graph import claim_of
from olive_operator.records import AttemptRecord, Body


@dataclass(frozen=True)
class Records:
    """What the indexes hold for one job, and what was learnt by asking."""

    job: Body
    attempts: Iterable[AttemptRecord] = ()
    pods: Iterable[tuple[str, PodSeen]] = ()
    artifacts: Iterable[ArtifactSeen] = ()
    applied: Iterable[tuple[Ref, str]] = ()
    deployments: Iterable[DeploymentSeen] = ()
    claims: Iterable[str] = ()
    progress: Mapping[str, Progress] = field(default_factory=dict)
    loaded: frozenset[str] | None = None


def observe(records: Records) -> Seen:
    """One value for the plan. ValueError if the spec or status is not what the CRD allows.

    Attempts of an earlier job of this name are not this job's, nor are an earlier attempt's pods.
    """
    pods, job = dict(records.pods), _job(records.job)
    return Seen(
        job=job,
        attempts=tuple(
            replace(a.seen, pod=pods.get(a.uid)) for a in records.attempts if a.owner == job.uid
        ),
        artifacts={a.key: a for a in records.artifacts if a.claim == claim_of(job.spec)},
        applied=dict(records.applied),
        deployment=next(iter(records.deployments), None),
        claimExists=names.DEFAULT_CLAIM in records.claims,
        progress=records.progress,
        loaded=records.loaded,
    )


def _job(body: Body) -> JobSeen:
    meta = body["metadata"]
    return JobSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta["generation"],
        spec=Spec.from_body(body["spec"]),
        status=Status.from_body(body["status"]),
        retry=meta["retry"],
    )
