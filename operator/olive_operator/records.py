"""From raw objects, as the API server sends them, to the trimmed records that the indexes keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from olive_operator import labels
from olive_operator.api.seen import ArtifactSeen, AttemptSeen, DeploymentSeen, PodSeen, Ref

Body = Mapping[str, Any]
JobKey = tuple[str, str]
"""Namespace and name of an OptimizationJob."""


@dataclass(frozen=True)
class ServingPod:
    """A pod of the serving that answers: where to ask it."""

    name: str
    address: str


def trimmed_job(body: Body) -> dict[str, Any]:
    """The parts of an OptimizationJob that a pass needs."""
    meta = body["metadata"]
    return {
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "generation": meta["generation"],
            "resourceVersion": meta["resourceVersion"],
            "deleting": "deletionTimestamp" in meta,
            "retry": (meta.get("annotations") or {}).get(labels.RETRY, ""),
        },
        "spec": dict(body["spec"]),
        "status": dict(body.get("status") or {}),
    }


def job_of(body: Body) -> JobKey:
    """The OptimizationJob that a child belongs to, by its label."""
    meta = body["metadata"]
    return meta["namespace"], meta["labels"].get(labels.JOB, "")


@dataclass(frozen=True)
class AttemptRecord:
    """An attempt, its own uid and its owner's: names come again, uids never do."""

    uid: str
    owner: str
    seen: AttemptSeen


def attempt(body: Body) -> AttemptRecord:
    """The record of a batch/v1 Job."""
    meta, status = body["metadata"], body.get("status") or {}
    notes = meta.get("annotations") or {}
    ended = [
        c["type"]
        for c in status.get("conditions") or []
        if c["type"] in ("Complete", "Failed") and c["status"] == "True"
    ]
    owners = meta.get("ownerReferences") or [{}]
    seen = AttemptSeen(
        name=meta["name"],
        stage=notes.get(labels.STAGE_NAME, ""),
        address=notes.get(labels.ADDRESS, ""),
        number=int(meta["labels"].get(labels.ATTEMPT, "0")),
        outcome=ended[0] if ended else "",
        claim=notes.get(labels.CLAIM, ""),
        template=notes.get(labels.TEMPLATE, ""),
        deleting="deletionTimestamp" in meta,
    )
    return AttemptRecord(meta["uid"], owners[0].get("uid", ""), seen)


def attempt_of(body: Body) -> str:
    """The uid of the batch/v1 Job that a pod belongs to."""
    uid: str = body["metadata"]["labels"].get("batch.kubernetes.io/controller-uid", "")
    return uid


def pod(body: Body) -> PodSeen:
    """The record of an attempt's pod."""
    meta, status = body["metadata"], body.get("status") or {}
    containers = status.get("containerStatuses") or [{}]
    state = containers[0].get("state") or {}
    running, ended = state.get("running"), state.get("terminated") or {}
    waiting = state.get("waiting") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    return PodSeen(
        name=meta["name"],
        node=(body.get("spec") or {}).get("nodeName", ""),
        phase=status.get("phase", "Pending"),
        deleting="deletionTimestamp" in meta,
        startedAt=_instant((running or ended).get("startedAt")),
        finishedAt=_instant(ended.get("finishedAt")),
        running=running is not None,
        waiting=waiting.get("reason", ""),
        waitingMessage=waiting.get("message", ""),
        terminated=ended.get("reason", ""),
        exitCode=ended.get("exitCode"),
        output=ended.get("message", ""),
        unschedulable=_unschedulable(scheduled),
        disrupted=_disrupted(status, conditions),
    )


def _unschedulable(scheduled: Body) -> str:
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return str(scheduled.get("message", ""))
    return ""


def _disrupted(status: Body, conditions: Mapping[str, Body]) -> str:
    target = conditions.get("DisruptionTarget", {})
    if target.get("status") == "True":
        return f"{target.get('reason', '')}: {target.get('message', '')}"
    if status.get("reason") in ("Evicted", "NodeLost", "Shutdown", "Terminated", "NodeShutdown"):
        return f"{status['reason']}: {status.get('message', '')}"
    return ""


def serving_pod(body: Body) -> ServingPod | None:
    """Where to ask a serving pod, if it is ready."""
    status = body.get("status") or {}
    ready = any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or []
    )
    if not ready or not status.get("podIP"):
        return None
    return ServingPod(body["metadata"]["name"], f"{status['podIP']}:8080")


def artifact(body: Body) -> ArtifactSeen:
    """The record of an artifact."""
    spec = body["spec"]
    # JSON writes 9.0 as 9.
    metrics = {name: float(value) for name, value in (spec.get("metrics") or {}).items()}
    return ArtifactSeen(body["metadata"]["name"], spec["claim"], spec["key"], metrics)


def applied(body: Body, kind: str) -> tuple[Ref, str]:
    """Which child it is, and the hash of the manifest that was last applied."""
    meta = body["metadata"]
    notes = meta.get("annotations") or {}
    return Ref(kind, meta["name"]), notes.get(labels.APPLIED, "")


def deployment(body: Body) -> DeploymentSeen:
    """The record of the serving Deployment."""
    spec, status = body["spec"], body.get("status") or {}
    volumes = spec["template"]["spec"].get("volumes") or []
    return DeploymentSeen(
        replicas=spec.get("replicas", 1),
        total=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        observed=status.get("observedGeneration", 0) >= body["metadata"]["generation"],
        config=next((v["configMap"]["name"] for v in volumes if "configMap" in v), ""),
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
