"""Every kopf decorator: a job has come, changed or gone, and are we alive? Nothing else."""

from collections.abc import Callable
from typing import Any

import kopf

from olive_operator import labels

JobEvent = Callable[[str | None, dict[str, Any]], None]
"""What is told of a job: kopf's word for what happened, and the object."""


def register(registry: kopf.OperatorRegistry, tell: JobEvent, alive: Callable[[], bool]) -> None:
    """Have kopf tell of every OptimizationJob, as it is and whenever it changes."""

    @kopf.on.event(labels.GROUP, labels.VERSION, "optimizationjobs", registry=registry)
    async def job(event: Any, **_: Any) -> None:
        tell(event["type"], event["object"])

    @kopf.on.probe(id="loop", registry=registry)
    async def loop(**_: Any) -> str:
        if not alive():
            raise kopf.PermanentError("the operator's loop has not turned for too long")
        return "turns"
