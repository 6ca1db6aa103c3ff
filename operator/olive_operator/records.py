"""From raw objects, as the API server sends them, to the trimmed values that plans read."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any

from olive_contract.serial import decode
from olive_contract.serving import SERVING_FILE, Serving
from olive_contract.stage import Published, StageInput
from olive_contract.sweep import Sweep
from olive_operator import labels
from olive_operator.api.seen import (
    ArtifactSeen,
    AttemptSeen,
    ClaimSeen,
    DeploymentSeen,
    PodSeen,
)
from olive_operator.api.store import StoredSeen, SweepSeen

Body = Mapping[str, Any]

_DISRUPTIONS = ("Evicted", "NodeLost", "Shutdown", "Terminated", "NodeShutdown")


def attempt(body: Body) -> AttemptSeen:
    """Of a batch/v1 Job."""
    meta, status = body["metadata"], body.get("status") or {}
    notes = meta.get("annotations") or {}
    ended = [
        c["type"]
        for c in status.get("conditions") or []
        if c["type"] in ("Complete", "Failed") and c["status"] == "True"
    ]
    return AttemptSeen(
        name=meta["name"],
        stage=intern(notes.get(labels.STAGE_NAME, "")),
        address=intern(notes.get(labels.ADDRESS, "")),
        number=int(meta["labels"].get(labels.ATTEMPT, "0")),
        outcome=intern(ended[0]) if ended else "",
        claim=intern(notes.get(labels.CLAIM, "")),
        template=notes.get(labels.TEMPLATE, ""),
        createdAt=_instant(meta.get("creationTimestamp")),
        queued=labels.QUEUE in meta["labels"],
        suspended=bool((body.get("spec") or {}).get("suspend")),
        deleting="deletionTimestamp" in meta,
    )


def pod(body: Body) -> PodSeen:
    """Of a pod."""
    meta, status = body["metadata"], body.get("status") or {}
    containers = status.get("containerStatuses") or [{}]
    state = containers[0].get("state") or {}
    running, ended = state.get("running"), state.get("terminated") or {}
    waiting = state.get("waiting") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    return PodSeen(
        name=meta["name"],
        node=intern((body.get("spec") or {}).get("nodeName", "")),
        phase=intern(status.get("phase", "Pending")),
        deleting="deletionTimestamp" in meta,
        createdAt=_instant(meta.get("creationTimestamp")),
        placedAt=_placed_at(scheduled),
        startedAt=_instant((running or ended).get("startedAt")),
        finishedAt=_instant(ended.get("finishedAt")),
        running=running is not None,
        waiting=intern(waiting.get("reason", "")),
        waitingMessage=waiting.get("message", ""),
        terminated=intern(ended.get("reason", "")),
        exitCode=ended.get("exitCode"),
        output=ended.get("message", ""),
        unschedulable=_unschedulable(scheduled),
        disrupted=_disrupted(status, conditions),
    )


def claims(body: Body) -> tuple[str, ...]:
    """The claims that a pod mounts."""
    volumes = (body.get("spec") or {}).get("volumes") or []
    named = {v["persistentVolumeClaim"]["claimName"] for v in volumes if _is_claim(v)}
    return tuple(intern(name) for name in sorted(named))


def answers_at(body: Body) -> str:
    """Where to ask a serving pod, if it is ready."""
    status = body.get("status") or {}
    ready = any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or []
    )
    ip = status.get("podIP", "")
    host = f"[{ip}]" if ":" in ip else ip
    return f"{host}:8081" if ready and ip else ""


def artifact(body: Body) -> ArtifactSeen:
    """Of an Artifact."""
    spec = body["spec"]
    # JSON writes 9.0 as 9.
    metrics = {name: float(value) for name, value in (spec.get("metrics") or {}).items()}
    published = decode(Published, spec["published"]) if "published" in spec else None
    name = body["metadata"]["name"]
    return ArtifactSeen(name, intern(spec["claim"]), spec["key"], metrics, published)


def claim(body: Body) -> ClaimSeen:
    """Of a PersistentVolumeClaim."""
    modes = (body.get("spec") or {}).get("accessModes") or []
    return ClaimSeen(body["metadata"]["name"], tuple(intern(m) for m in modes))


def deployment(body: Body) -> DeploymentSeen:
    """Of the serving Deployment."""
    spec, status = body["spec"], body.get("status") or {}
    volumes = spec["template"]["spec"].get("volumes") or []
    return DeploymentSeen(
        replicas=spec.get("replicas", 1),
        total=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        observed=status.get("observedGeneration", 0) >= body["metadata"]["generation"],
        config=next((v["configMap"]["name"] for v in volumes if "configMap" in v), ""),
        pinned=any(_says_how_many(entry) for entry in body["metadata"].get("managedFields") or []),
    )


def uses(pod: Body) -> tuple[str, ...]:
    """The keys of what a stage's pod is to make, and of what it reads. ``pod``: its spec."""
    arguments = _arguments(pod)
    return _keys_in(arguments[0]) if arguments else ()


@lru_cache(maxsize=1024)
def _keys_in(argument: str) -> tuple[str, ...]:
    """Remembered, as a Job and its pod are told a dozen times while they live."""
    try:
        given = StageInput.from_json(argument)
    except ValueError:
        return ()
    return tuple(intern(key) for key in (given.key, *given.inputs.values()) if key)


def served(body: Body) -> tuple[str, ...]:
    """The keys of what a serving's ConfigMap tells its pods to load."""
    try:
        found = Serving.from_json((body.get("data") or {})[SERVING_FILE])
    except (KeyError, ValueError):
        return ()
    return (intern(found.model), *(intern(a.key) for a in found.adapters))


def sweep(body: Body) -> SweepSeen:
    """Of a sweep's batch/v1 Job. ValueError if it does not say what it removes."""
    job, given = attempt(body), _arguments(body["spec"]["template"]["spec"])
    return SweepSeen(
        name=job.name,
        keys=frozenset(Sweep.from_json(given[-1] if given else "").keys),
        suspended=job.suspended,
        outcome=job.outcome,
        endedAt=_instant((body.get("status") or {}).get("completionTime")),
        deleting=job.deleting,
    )


def stored(body: Body) -> StoredSeen:
    """Of an Artifact."""
    meta, spec = body["metadata"], body["spec"]
    since = (meta.get("annotations") or {}).get(labels.UNUSED_SINCE)
    return StoredSeen(
        name=meta["name"],
        key=spec["key"],
        sizeBytes=spec.get("sizeBytes", 0),
        createdAt=_instant(meta.get("creationTimestamp")),
        unusedSince=_instant_or_none(since),
    )


def applied(body: Body) -> str:
    """The hash of the manifest that was last applied of a mutable child."""
    notes = body["metadata"].get("annotations") or {}
    return str(notes.get(labels.APPLIED, ""))


def _arguments(pod: Body) -> list[str]:
    containers = pod.get("containers") or [{}]
    return containers[0].get("args") or []


def _says_how_many(entry: Body) -> bool:
    """Whether an entry of managedFields has us apply the number of replicas."""
    ours = (entry.get("manager"), entry.get("operation")) == (labels.FIELD_MANAGER, "Apply")
    return ours and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})


def _is_claim(volume: Body) -> bool:
    return "persistentVolumeClaim" in volume


def _placed_at(scheduled: Body) -> datetime | None:
    return (
        _instant(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None
    )


def _unschedulable(scheduled: Body) -> str:
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return str(scheduled.get("message", ""))
    return ""


def _disrupted(status: Body, conditions: Mapping[str, Body]) -> str:
    target = conditions.get("DisruptionTarget", {})
    if target.get("status") == "True":
        return f"{target.get('reason', '')}: {target.get('message', '')}"
    if status.get("reason") in _DISRUPTIONS:
        return f"{status['reason']}: {status.get('message', '')}"
    return ""


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _instant_or_none(text: str | None) -> datetime | None:
    """People may write what is no instant, or one without a zone: it is written anew."""
    try:
        found = _instant(text)
    except ValueError:
        return None
    return found if found and found.tzinfo else None
