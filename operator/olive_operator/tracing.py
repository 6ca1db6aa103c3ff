"""One trace for a job, with a span for each attempt at a stage: what of it a pass brings to an end.

Pure. A span is made from the two statuses between which it ends, and is named by hashes of what it
is about: an operator that takes over goes on in the same trace, and tells nothing again that a
written status tells of. An edit and a retry begin another trace.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from olive_operator.api.seen import JobSeen
from olive_operator.api.status import Phase, StageStatus, State, Status
from olive_operator.plan.clock import instant
from olive_operator.plan.status import failure_since

SUPERSEDED: Final = "Superseded"
"""The outcome of a job that is edited or retried before it was through."""
WITHDRAWN: Final = "Withdrawn"
"""The outcome of an attempt that was ended without fault: suspended, edited, built elsewhere."""


@dataclass(frozen=True)
class Span:
    """As OpenTelemetry has it; ``parent`` is 0 of the root, ``error`` says why it failed, if so."""

    name: str
    trace: int
    id: int
    parent: int
    start: datetime
    end: datetime
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    error: str = ""


def ended(job: JobSeen, after: Status, at: datetime) -> Iterator[Span]:
    """The spans that end between the job's status and this one, which was written ``at``."""
    before = job.status
    if not before.startedAt:  # never written: what is there is the CRD's default
        return
    trace, root = _trace(job, before), _id(8, _run(job, before))
    told = {"k8s.namespace.name": job.namespace, "olive.job.name": job.name}
    for stage in after.stages:
        last = before.stage_named(stage.name)
        if stage.endedAttempt > (last.endedAttempt if last and _same(last, stage) else 0):
            yield _attempt(trace, root, told, last, stage, at)
    if before.finishedAt or _was_ready(before):
        return
    edited = _run(job, before) != _run(job, after)
    if edited or after.finishedAt:
        outcome = SUPERSEDED if edited else after.phase
        end = at if edited else instant(after.finishedAt)
        spent = {"olive.gpu.seconds": after.gpuSeconds, "olive.generation": _generation(before)}
        yield Span(
            "OptimizationJob",
            *(trace, root, 0),
            *(min(_begun(before), end), end),
            {**told, **spent, "olive.outcome": outcome},
            error=_why(after) if outcome == Phase.FAILED else "",
        )


def _attempt(
    trace: int,
    root: int,
    told: Mapping[str, str],
    last: StageStatus | None,
    stage: StageStatus,
    at: datetime,
) -> Span:
    end = instant(stage.finishedAt) if stage.finishedAt else at
    start = instant(stage.startedAt) if stage.startedAt else end - timedelta(seconds=stage.seconds)
    kind, failed = stage.kind, failure_since(last, stage)
    done = "Succeeded" if stage.finishedAt else WITHDRAWN
    attributes: dict[str, str | int | float] = {
        **told,
        "olive.stage.name": stage.name,
        "olive.stage.kind": kind,
        "olive.stage.attempt": stage.endedAttempt,
        "olive.gpu.seconds": stage.gpuSeconds - (last.gpuSeconds if last else 0),
        "olive.outcome": failed or done,
    }
    places = {"k8s.pod.name": stage.pod, "k8s.node.name": stage.node, "error.type": failed}
    attributes |= {name: value for name, value in places.items() if value}
    number = str(stage.endedAttempt)
    return Span(
        kind,
        *(trace, _id(8, f"{trace:x}", stage.name, stage.address, number), root),
        *(min(start, end), end),
        attributes,
        error=stage.lastFailure if failed else "",
    )


def _same(last: StageStatus, stage: StageStatus) -> bool:
    return last.address == stage.address


def _run(job: JobSeen, status: Status) -> str:
    """What an edit or a retry changes, and nothing else does."""
    return f"{job.uid} {_generation(status)} {status.retriedAt}"


def _generation(status: Status) -> int:
    return status.observedGeneration


def _trace(job: JobSeen, status: Status) -> int:
    return _id(16, "trace", _run(job, status))


def _id(size: int, *parts: str) -> int:
    """A number of so many bytes; never 0, which names nothing."""
    found = hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()
    return int.from_bytes(found[:size], "big") or 1


def _begun(status: Status) -> datetime:
    """When it began; after an edit, when it last came to work."""
    working = status.condition("Reconciling")
    first = status.observedGeneration == 1 and not status.retriedAt
    if first or working is None or working.status != "True":
        return instant(status.startedAt)
    return instant(working.lastTransitionTime)


def _was_ready(status: Status) -> bool:
    """Whether it was Ready after its last stage: only its serving has ceased to answer since."""
    ready = status.condition("Ready")
    done = all(stage.state == State.SUCCEEDED for stage in status.stages)
    last = max([status.startedAt, *(stage.finishedAt for stage in status.stages)])
    return ready is not None and done and ready.lastTransitionTime > last


def _why(status: Status) -> str:
    stalled = status.condition("Stalled")
    return f"{stalled.reason}: {stalled.message}" if stalled else status.phase
