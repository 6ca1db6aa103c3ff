"""Bodies of jobs for these tests: built in few words, or lived through in the planner's world."""

import json
from datetime import timedelta
from typing import Any

from builders import NOON, World, spec

GENERATION = 3
NOW = NOON + timedelta(hours=1)
"""When these tests look: an hour after their worlds begin."""


def body(
    *stages: dict[str, Any],
    condition: tuple[str, str, str] | None = None,
    observed: int = GENERATION,
    version: str = "1",
    **status: Any,
) -> dict[str, Any]:
    """An OptimizationJob; ``condition`` is the one that is True: type, reason, message."""
    conditions = [
        {
            "type": kind,
            "status": "True" if condition and condition[0] == kind else "False",
            "reason": condition[1] if condition else "StagesRunning",
            "message": condition[2] if condition else "",
            "observedGeneration": observed,
        }
        for kind in ("Ready", "Reconciling", "Stalled")
    ]
    return {
        "metadata": {
            "name": "travel",
            "namespace": "ml",
            "generation": GENERATION,
            "resourceVersion": version,
        },
        "status": {"stages": list(stages), "conditions": conditions, **status},
    }


def stage(name: str, state: str, **more: Any) -> dict[str, Any]:
    """A stage as it stands in the status."""
    return {"name": name, "state": state, **more}


READY = ("Ready", "Serving", "the model and its adapters are being served")
STALLED = ("Stalled", "InvalidInput", "fetch/travel: row 3 has no column prompt (correct the spec)")


def lived(world: World, name: str = "travel", **sections: Any) -> dict[str, Any]:
    """The body of a world's job, its spec made of these sections, its status the operator's own."""
    status = json.loads(json.dumps(world.status.to_body()))
    return {
        "apiVersion": "olive-operator.io/v1alpha1",
        "kind": "OptimizationJob",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "uid": "u1",
            "generation": world.seen.job.generation,
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-20T12:00:00Z",
        },
        "spec": spec(**sections),
        "status": status,
    }


def artifacts(world: World, **costs: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that a world's operator has made; ``costs``: by kind of stage, or by stage."""
    made = [m for m in world.manifests.values() if m["kind"] == "Artifact"]
    known = [costs.get(m["spec"]["stage"], costs.get(m["spec"]["kind"], {})) for m in made]
    return [{**m, "spec": {**m["spec"], **cost}} for m, cost in zip(made, known, strict=True)]


def unused(artifact: dict[str, Any], since: str) -> dict[str, Any]:
    """The same, with the mark that nothing refers to it."""
    notes = {"olive-operator.io/unused-since": since}
    return {**artifact, "metadata": {**artifact["metadata"], "annotations": notes}}
