"""How soon a status has to be written: what decides at once, what only informs when it is time.

Pure. A status decides if forgetting it would change what is done: counts, ends, what is made. All
else (a pod that is placed, that runs, how far it is) tells people, and every write of it wakes all
who watch.
"""

from dataclasses import replace
from typing import Final

from olive_operator.api.status import StageStatus, State, Status
from olive_operator.plan import Plan

AT_ONCE: Final = 0.0
SOON: Final = 1.0
"""Seconds between two writes that only inform."""
LATER: Final = 5.0
"""The same where a pod only goes through the motions of starting."""
INFORMING_A_SECOND: Final = 5.0
"""Of all jobs together: what a thousand of them have to tell must not hold up what they do."""

_STARTING = frozenset({"PodNotCreated", "Scheduling", "ContainerCreating", "PodInitializing"})


def wait(before: Status, plan: Plan) -> float | None:
    """Seconds that may pass after the last write before this one; None: there is nothing new."""
    after = plan.status
    if after == before:
        return None
    if plan.create or plan.delete or plan.apply or plan.events or plan.expired:
        return AT_ONCE
    if _decisive(before) != _decisive(after):
        return AT_ONCE
    changed = [s for s in after.stages if s != before.stage_named(s.name)]
    return LATER if changed and all(_starts(s) for s in changed) else SOON


def _decisive(status: Status) -> Status:
    """The status without what only informs."""
    serving = status.serving
    return replace(
        status,
        stage="",
        phase="",
        serving=serving and replace(serving, replicas=0, readyReplicas=0),
        stages=tuple(_essence(s) for s in status.stages),
        conditions=tuple(replace(c, reason="", message="") for c in status.conditions),
    )


def _essence(stage: StageStatus) -> StageStatus:
    if stage.state not in (State.PENDING, State.RUNNING):
        return stage
    return replace(
        stage,
        state=State.PENDING,
        reason="",
        message="",
        pod="",
        node="",
        startedAt="",
        percent=None,
        remainingSeconds=None,
        loss=None,
        progressedAt="",
    )


def _starts(stage: StageStatus) -> bool:
    return stage.state == State.PENDING and stage.reason in _STARTING
