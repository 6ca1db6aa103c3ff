"""A stage's status while nothing of its own is under way: what it waits for, in a sentence."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from olive_operator.api.seen import AttemptSeen, Builder
from olive_operator.api.status import StageStatus, State
from olive_operator.plan.clock import text
from olive_operator.plan.pods import Pending
from olive_operator.plan.spent import ended_at, gpu_seconds
from olive_operator.plan.view import View

SHARED: Final = "BuiltByAnotherJob"
FOR_INPUTS: Final = "WaitingForInputs"


def waiting(before: StageStatus, inputs: list[str]) -> StageStatus:
    """Not yet due; the counts of attempts are kept, as the address may stay what it was."""
    why = f"waits for {', '.join(inputs)}"
    return replace(before, state=State.WAITING, reason=FOR_INPUTS, message=why, key="")


def gated(view: View, held: Sequence[str]) -> StageStatus:
    """Nothing new is published while a gate is missed; an attempt under way is ended."""
    before = withdrawn(view, view.attempt) if view.attempt else view.before
    why = f"a gate is missed by {', '.join(held)}: nothing new is published"
    return replace(before, state=State.WAITING, reason="HeldBack", message=why, retryAt="")


def held_back(view: View, why: Pending) -> StageStatus:
    """Due, but its pod could not work on the volume now."""
    return replace(view.before, state=State.PENDING, reason=why.reason, message=why.message)


def waits_for_end(view: View, last: AttemptSeen) -> StageStatus:
    """Due, but the pod of the last attempt is still there and may be writing."""
    return _ending(view, f"the pod of attempt {last.number}")


def _ending(view: View, pod: str) -> StageStatus:
    return replace(
        view.before,
        state=State.PENDING,
        reason="LastAttemptEnding",
        message=f"{pod} is being ended and may still be writing",
    )


def anew(view: View, attempt: AttemptSeen) -> StageStatus:
    """The volume is free, and the scheduler will not notice: another pod has its turn at once."""
    return replace(
        withdrawn(view, attempt),
        state=State.PENDING,
        reason="VolumeBusy",
        message="the volume is free now; the pod is made anew, to be scheduled at once",
    )


def suspended(view: View, attempt: AttemptSeen | None) -> StageStatus:
    """Not to be worked on now; an attempt under way is ended, and that is no failure."""
    status = withdrawn(view, attempt) if attempt else view.before
    return replace(
        status,
        state=State.WAITING,
        reason="Suspended",
        message="set spec.suspend to false and it goes on",
    )


def shared(view: View, other: Builder, attempt: AttemptSeen | None = None) -> StageStatus:
    """Another job makes the same artifact now; an attempt of ours that is behind is ended."""
    if other.ending:
        what = "pod" if other.attempt.pod else "attempt"
        return _ending(view, f"{what} {other.attempt.name} of job {other.job}")
    status = withdrawn(view, attempt) if attempt else view.before
    doing = "runs" if other.attempt.begun else "is about to run"
    return replace(
        status,
        state=State.PENDING,
        reason=SHARED,
        message=f"job {other.job} makes the same artifact and {doing}; it is made once",
        retryAt="",
    )


def twin(view: View, maker: StageStatus) -> StageStatus:
    """Another stage of the job makes the same artifact: two adapters on one data set, say."""
    return replace(
        withdrawn(view, view.attempt) if view.attempt else view.before,
        state=State.PENDING,
        reason="BuiltByAnotherStage",
        message=f"{maker.name} makes the same artifact; it is made once",
        failures=maker.failures,
        less=maker.less,
        retryAt="",
    )


def of_twin(before: StageStatus, maker: StageStatus) -> StageStatus:
    """What has come of the attempts of the stage that makes the same has come of all of them."""
    ended = maker if maker.state == State.FAILED or maker.retryAt else before
    return replace(
        before,
        state=ended.state,
        reason=ended.reason,
        message=ended.message,
        retryAt=maker.retryAt,
        failures=maker.failures,
        less=maker.less,
        lastFailure=maker.lastFailure,
    )


def sweeping(view: View, attempt: AttemptSeen | None = None) -> StageStatus:
    """What it is to make is being removed from the store; what the attempt has made goes too."""
    status = view.before
    if attempt:  # and that it has ended is dealt with
        finished = text(ended_at(view, attempt))
        status = replace(withdrawn(view, attempt), finishedAt=finished)
    return replace(
        status,
        state=State.PENDING,
        reason="StoreSweeping",
        message="the unused artifact is being removed from the store; then it is made again",
        retryAt="",
    )


def withdrawn(view: View, attempt: AttemptSeen) -> StageStatus:
    """The attempt is ended by us, and does not count as a failure."""
    return replace(
        view.before,
        attempt=attempt.number,
        endedAttempt=attempt.number,
        gpuSeconds=view.before.gpuSeconds + gpu_seconds(view, attempt),
        percent=None,
        remainingSeconds=None,
        progressedAt="",
        pod="",
        node="",
    )
