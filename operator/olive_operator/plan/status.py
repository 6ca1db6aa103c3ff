"""The whole desired status of a job, and the events that its changes are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from olive_operator.api.seen import JobSeen
from olive_operator.api.status import (
    GATE_FAILED,
    Condition,
    Phase,
    ServingStatus,
    Source,
    StageStatus,
    State,
    Status,
)
from olive_operator.plan import conditions
from olive_operator.plan.clock import text
from olive_operator.plan.graph import claim_of

SOURCES_KEPT = 64
"""Resolved sources no longer in use that a job remembers, so that a change back runs nothing."""


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event on the job: a transition worth telling."""

    type: str
    reason: str
    message: str


def status(
    job: JobSeen,
    stages: Sequence[StageStatus],
    sources: Mapping[str, str],
    serving: ServingStatus | None,
    answers: bool,
    refused: str,
    unrouted: bool,
    now: datetime,
) -> Status:
    """What the status has to say after this pass."""
    before = job.status
    spec = job.spec
    found = conditions.summary(
        stages, spec.suspend, spec.serve is not None, answers, refused, unrouted
    )
    done = sum(s.state == State.SUCCEEDED for s in stages)
    finished = found.phase in (Phase.READY, Phase.FAILED)
    return Status(
        observedGeneration=job.generation,
        claim=claim_of(spec),
        phase=found.phase,
        stage=_current(stages, finished),
        progress=f"{done}/{len(stages)}",
        gpuSeconds=before.gpuSeconds + _newly_spent(before, stages),
        startedAt=before.startedAt or text(now),
        finishedAt=(before.finishedAt or text(now)) if finished else "",
        retriedAt=job.retry,
        sources=_kept(sources, {s.address for s in stages}),
        stages=tuple(stages),
        serving=serving,
        conditions=conditions.conditions(
            text(now), job.generation, found, stages, before.conditions
        ),
    )


def _kept(sources: Mapping[str, str], in_use: set[str]) -> tuple[Source, ...]:
    """Every source that a stage is at, and the latest of the others."""
    others = [request for request in sources if request not in in_use][-SOURCES_KEPT:]
    return tuple(Source(r, k) for r, k in sources.items() if r in in_use or r in others)


def _newly_spent(before: Status, stages: Sequence[StageStatus]) -> int:
    """GPU seconds of attempts that ended since the last status; a dropped stage keeps its own."""
    known = {s.name: s.gpuSeconds for s in before.stages}
    return sum(max(s.gpuSeconds - known.get(s.name, 0), 0) for s in stages)


def _current(stages: Sequence[StageStatus], finished: bool) -> str:
    """The stages at work; those in the way (waiting for their pod, or failed) if none is."""
    for state in (State.RUNNING, State.PENDING, State.FAILED):
        if names := [s.name for s in stages if s.state == state]:
            return ", ".join(names)
    if names := [s.name for s in stages if s.missed_gate]:
        return ", ".join(names)
    return "" if finished else "serving"


def events(before: Status, after: Status) -> list[Event]:
    """What is worth telling of the change from one status to the next: not every start and end."""
    told = []
    for stage in after.stages:
        last = before.stage_named(stage.name)
        if told_of := _stage_event(last, stage):
            told.append(told_of)
    if ready := _become_true("Ready", before, after):
        told.append(Event("Normal", ready.reason, ready.message))
    stalled = _become_true("Stalled", before, after)
    if stalled and stalled.reason != GATE_FAILED:  # a gate is told of with its stage
        told.append(Event("Warning", stalled.reason, stalled.message))
    return told


def _become_true(kind: str, before: Status, after: Status) -> Condition | None:
    was, is_ = before.condition(kind), after.condition(kind)
    true = is_ is not None and is_.status == "True"
    return is_ if true and (was is None or was.status != "True") else None


def failure_since(before: StageStatus | None, after: StageStatus) -> str:
    """The class of the failure by which an attempt at the same work has ended between the two.

    Empty if none has: one that was withdrawn has ended, too, and has not failed.
    """
    if before is None or before.address != after.address:
        return ""
    ended = after.endedAttempt > before.endedAttempt and after.state != State.SUCCEEDED
    found = after.lastFailure.partition(":")[0]
    again_at_once = after.attempt > after.endedAttempt
    return found if ended and (again_at_once or after.reason == found) else ""


def held_back_since(before: StageStatus | None, after: StageStatus) -> bool:
    """Whether a gate has failed between the two that did not before."""
    return after.missed_gate and (before is None or not before.missed_gate)


def _stage_event(before: StageStatus | None, after: StageStatus) -> Event | None:
    if held_back_since(before, after):
        return Event("Warning", GATE_FAILED, f"{after.name}: {after.message}")
    if failure := failure_since(before, after):
        return Event("Warning", failure, f"{after.name}: {after.lastFailure}")
    return None
