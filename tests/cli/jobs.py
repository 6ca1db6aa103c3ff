"""Bodies of jobs for these tests: built in few words."""

from typing import Any

GENERATION = 3


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
