"""The kinds of objects that the operator knows: where they are, and what becomes of them here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Final

from olive_operator import labels, records
from olive_operator.api.seen import JobSeen, Ref
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status
from olive_operator.records import Body
from olive_operator.watch.cache import JobKey, ObjectKey, Record
from olive_operator.watch.kept import (
    ArtifactRecord,
    AttemptRecord,
    ChildRecord,
    ClaimRecord,
    JobRecord,
    PodRecord,
    SweepRecord,
)

JOB: Final = "OptimizationJob"


@dataclass(frozen=True)
class Kind:
    """``path`` takes the namespace; ``selector`` is by labels; ``slim``: metadata is enough."""

    name: str
    path: str
    record: Callable[[Body], Record]
    selector: str = ""
    slim: bool = False

    def collection(self, namespace: str = "") -> str:
        """The path of all its objects in a namespace, or in all."""
        return self.path.format(f"/namespaces/{namespace}" if namespace else "")


def key_of(body: Body) -> ObjectKey:
    """Namespace and name."""
    return intern(body["metadata"]["namespace"]), body["metadata"]["name"]


def version_of(body: Body) -> int:
    """Resource versions are comparable integers (KEP-5504)."""
    return int(body["metadata"]["resourceVersion"])


def job(body: Body, before: JobRecord | None = None) -> JobRecord:
    """The record of an OptimizationJob; of one that is known only what has changed is decoded."""
    meta, known = body["metadata"], before.seen if before else None
    same = known and (known.uid, known.generation) == (meta["uid"], meta["generation"])
    try:
        seen = JobSeen(
            namespace=intern(meta["namespace"]),
            name=meta["name"],
            uid=meta["uid"],
            generation=meta["generation"],
            spec=known.spec if known and same else Spec.from_body(body["spec"]),
            status=Status.from_body(body.get("status") or {}),
            retry=(meta.get("annotations") or {}).get(labels.RETRY, ""),
        )
    except (ValueError, RecursionError) as error:
        return JobRecord(None, "deletionTimestamp" in meta, str(error))
    return JobRecord(seen, "deletionTimestamp" in meta)


def sweep(body: Body) -> SweepRecord:
    """The record of a sweep's batch/v1 Job."""
    notes = body["metadata"].get("annotations") or {}
    return SweepRecord(intern(notes.get(labels.CLAIM, "")), records.sweep(body))


def _batch_job(body: Body) -> Record:
    meta = body["metadata"]
    if meta["labels"].get(labels.COMPONENT) == "sweep":
        return sweep(body)
    return AttemptRecord(
        _job_of(body),
        meta["uid"],
        _owner_of(body),
        records.attempt(body),
        records.uses(((body.get("spec") or {}).get("template") or {}).get("spec") or {}),
    )


def _pod(body: Body) -> PodRecord:
    marks, notes = body["metadata"]["labels"], body["metadata"].get("annotations") or {}
    component = intern(marks.get(labels.COMPONENT, ""))
    return PodRecord(
        job=_job_of(body),
        component=component,
        attempt=marks.get("batch.kubernetes.io/controller-uid", ""),
        builds=intern(notes.get(labels.ADDRESS, "")),
        claims=records.claims(body),
        seen=records.pod(body),
        address=records.answers_at(body) if component == "serving" else "",
        uses=records.uses(body.get("spec") or {}) if component == "stage" else (),
        store=intern(notes.get(labels.CLAIM, "")),
    )


def _artifact(body: Body) -> ArtifactRecord:
    return ArtifactRecord(records.artifact(body), records.stored(body))


def _child(kind: str) -> Callable[[Body], ChildRecord]:
    def record(body: Body) -> ChildRecord:
        ref = Ref(kind, body["metadata"]["name"])
        return ChildRecord(_job_of(body), _owner_of(body), ref, records.applied(body))

    return record


def _config_map(body: Body) -> ChildRecord:
    ref = Ref("ConfigMap", body["metadata"]["name"])
    applied, serves = records.applied(body), records.served(body)
    return ChildRecord(_job_of(body), _owner_of(body), ref, applied, serves=serves)


def _deployment(body: Body) -> ChildRecord:
    ref = Ref("Deployment", body["metadata"]["name"])
    applied, deployment = records.applied(body), records.deployment(body)
    return ChildRecord(_job_of(body), _owner_of(body), ref, applied, deployment)


def _job_of(body: Body) -> JobKey:
    """The OptimizationJob that a child belongs to, by its label."""
    meta = body["metadata"]
    return intern(meta["namespace"]), intern(meta["labels"].get(labels.JOB, ""))


def _owner_of(body: Body) -> str:
    """The uid of that job: one that is made anew under the name is another."""
    owners = body["metadata"].get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))


def _of_serving(name: str, path: str) -> Kind:
    """A child of a serving: that it is there, and how it was applied, is all there is to know."""
    return Kind(name, path, _child(name), _OURS, slim=True)


_OURS = f"{labels.MANAGED_BY}={labels.FIELD_MANAGER}"
_GROUP = f"/apis/{labels.API_VERSION}{{}}"
_ROUTE: Final = "HTTPRoute"

JOBS: Final = Kind(JOB, f"{_GROUP}/optimizationjobs", job)
"""They come by way of kopf, and are listed by ourselves."""

WATCHED: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("Artifact", f"{_GROUP}/artifacts", _artifact),
        Kind("Job", "/apis/batch/v1{}/jobs", _batch_job, _OURS),
        Kind("Pod", "/api/v1{}/pods", _pod, _OURS),
        Kind("Deployment", "/apis/apps/v1{}/deployments", _deployment, _OURS),
        _of_serving("Service", "/api/v1{}/services"),
        Kind("ConfigMap", "/api/v1{}/configmaps", _config_map, _OURS),
        _of_serving("PodDisruptionBudget", "/apis/policy/v1{}/poddisruptionbudgets"),
        _of_serving("HorizontalPodAutoscaler", "/apis/autoscaling/v2{}/horizontalpodautoscalers"),
        _of_serving("NetworkPolicy", "/apis/networking.k8s.io/v1{}/networkpolicies"),
        _of_serving(_ROUTE, "/apis/gateway.networking.k8s.io/v1{}/httproutes"),
        Kind(
            "PersistentVolumeClaim",
            "/api/v1{}/persistentvolumeclaims",
            lambda b: ClaimRecord(records.claim(b)),
        ),
    )
}
"""What the operator watches by itself."""


def watched(gateway_api: bool) -> list[Kind]:
    """Those of them that the cluster has: routes only where it has the Gateway API."""
    return [kind for kind in WATCHED.values() if gateway_api or kind.name != _ROUTE]
