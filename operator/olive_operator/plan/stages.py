"""One stage's next state: from its address, its attempts and what was known, to what is to be done.

Level-triggered: the same inputs give the same answer, however often it is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.config import Config
from olive_operator.plan import pods, retries
from olive_operator.plan.clock import instant, text


@dataclass(frozen=True)
class Step:
    """What a stage comes to in one pass.

    ``start``: the number of the attempt that must exist. ``made``: an artifact to record.
    ``source``: the key that a fetch's request was found to be. ``lost``: an artifact whose record
    is wrong. ``again``: when to look again.
    """

    status: StageStatus
    start: int = 0
    made: Report | None = None
    source: str = ""
    lost: str = ""
    again: datetime | None = None


@dataclass(frozen=True)
class _View:
    """What is known of one stage, gathered for the small functions below."""

    stage: Stage
    address: Address
    before: StageStatus
    attempt: AttemptSeen | None
    seen: Seen
    config: Config
    now: datetime


def step(
    stage: Stage,
    address: Address | None,
    ready: Callable[[str], bool],
    seen: Seen,
    config: Config,
    now: datetime,
) -> Step:
    """The stage's state and what it asks for. ``ready`` tells whether an input's stage is done."""
    before = seen.job.status.stage_named(stage.name) or StageStatus(stage.name, State.WAITING)
    waiting = [name for name in stage.inputs.values() if not ready(name)]
    if address is None:
        return Step(_waiting(before, waiting))
    if before.address != address.name:
        spent = before.gpuSeconds
        before = StageStatus(stage.name, State.WAITING, address=address.name, gpuSeconds=spent)
    attempt = _latest(stage, address, seen)
    view = _View(stage, address, replace(before, key=address.key), attempt, seen, config, now)
    if address.key and address.key in seen.artifacts:
        return _done(view)
    if before.state == State.FAILED:
        return Step(before)
    if waiting:
        return Step(_waiting(before, waiting))
    if attempt and attempt.number >= before.attempt:
        return _observed(view, attempt)
    return _absent(view)


def _waiting(before: StageStatus, inputs: list[str]) -> StageStatus:
    """Not yet due; the counts of attempts are kept, as the address may stay what it was."""
    why = f"waits for {', '.join(inputs)}"
    return replace(before, state=State.WAITING, reason="WaitingForInputs", message=why, key="")


def _latest(stage: Stage, address: Address, seen: Seen) -> AttemptSeen | None:
    ours = [a for a in seen.attempts if a.stage == stage.name and a.address == address.name]
    return max(ours, key=lambda a: a.number, default=None)


def _done(view: _View) -> Step:
    """The store has the artifact. It was there already unless one of our attempts made it."""
    before, attempt = view.before, view.attempt
    if before.state == State.SUCCEEDED:
        return Step(before)
    report = attempt.pod.report if attempt and attempt.pod else None
    if attempt and report and report.outcome == "Succeeded" and report.key == view.address.key:
        return Step(_succeeded(view, attempt, report))
    return Step(
        StageStatus(
            view.stage.name,
            State.SUCCEEDED,
            "Cached",
            "the artifact was in the store",
            address=view.address.name,
            key=view.address.key,
            cached=True,
            gpuSeconds=before.gpuSeconds,
            finishedAt=text(view.now),
        )
    )


def _observed(view: _View, attempt: AttemptSeen) -> Step:
    """The latest attempt is there: pending, running, or finished one way or the other."""
    if not attempt.deleting and not attempt.ended:
        return Step(_going_on(view, attempt), start=attempt.number)
    report = attempt.pod.report if attempt.pod else None
    if attempt.ended == "Complete" and report and report.outcome == "Succeeded":
        source = report.key if view.stage.kind == "fetch" else ""
        return Step(_succeeded(view, attempt, report), made=report, source=source)
    if attempt.deleting and not attempt.ended:
        return Step(replace(view.before, state=State.PENDING, attempt=attempt.number))
    return _failed(view, attempt)


def _going_on(view: _View, attempt: AttemptSeen) -> StageStatus:
    pod = attempt.pod
    base = replace(
        view.before,
        attempt=attempt.number,
        retryAt="",
        finishedAt="",
        pod=pod.name if pod else "",
        node=pod.node if pod else "",
    )
    if pod is None or not pod.running:
        gpu = view.seen.job.spec.gpu if view.stage.gpu else None
        why = pods.pending(pod, gpu)
        return replace(base, state=State.PENDING, reason=why.reason, message=why.message)
    progress = view.seen.progress.get(pod.name)
    base = replace(
        base,
        state=State.RUNNING,
        reason="Running",
        message="",
        startedAt=text(pod.startedAt) if pod.startedAt else "",
    )
    if progress is None:
        return base
    return replace(
        base,
        percent=progress.percent,
        remainingSeconds=progress.remainingSeconds,
        loss=progress.loss,
        message=progress.message,
    )


def _succeeded(view: _View, attempt: AttemptSeen, report: Report) -> StageStatus:
    pod = attempt.pod
    return StageStatus(
        view.stage.name,
        State.SUCCEEDED,
        "Cached" if report.cached else "Built",
        report.message,
        address=view.address.name,
        key=report.key,
        cached=report.cached,
        attempt=attempt.number,
        failures=view.before.failures,
        failedAttempt=view.before.failedAttempt,
        pod=pod.name if pod else "",
        node=pod.node if pod else "",
        startedAt=text(pod.startedAt) if pod and pod.startedAt else "",
        finishedAt=text(pod.finishedAt) if pod and pod.finishedAt else text(view.now),
        seconds=round(_seconds(attempt), 1),
        gpuSeconds=view.before.gpuSeconds + _gpu_seconds(view, attempt),
        metrics=report.metrics,
        lastFailure=view.before.lastFailure,
    )


def _failed(view: _View, attempt: AttemptSeen) -> Step:
    """Count the failure once, and say when it is tried again, if it is."""
    before = view.before
    if attempt.number == before.failedAttempt:
        return _absent(view)
    found = pods.failure(attempt)
    failures = before.failures + retries.POLICY[found.failure].counts
    finished = attempt.pod.finishedAt if attempt.pod and attempt.pod.finishedAt else view.now
    at = retries.retry_at(found.failure, failures, view.config.retry, finished)
    status = replace(
        before,
        state=State.PENDING if at else State.FAILED,
        reason=found.failure.value,
        message=found.message,
        attempt=attempt.number,
        failures=failures,
        failedAttempt=attempt.number,
        retryAt=text(at) if at else "",
        pod=attempt.pod.name if attempt.pod else before.pod,
        node=attempt.pod.node if attempt.pod else before.node,
        finishedAt=text(finished),
        seconds=round(_seconds(attempt), 1),
        gpuSeconds=before.gpuSeconds + _gpu_seconds(view, attempt),
        percent=None,
        remainingSeconds=None,
        lastFailure=f"{found.failure.value}: {found.message}",
    )
    missing = found.missing if found.failure == FailureClass.INPUT_MISSING else ""
    if at and at <= view.now:
        started = replace(status, attempt=attempt.number + 1, retryAt="")
        return Step(started, start=attempt.number + 1, lost=missing)
    return Step(status, lost=missing, again=at)


def _absent(view: _View) -> Step:
    """No attempt is under way: the first, the one that is due, or none any more."""
    before = view.before
    if before.retryAt and (at := instant(before.retryAt)) > view.now:
        return Step(before, again=at)
    number = before.attempt + 1 if before.attempt == before.failedAttempt else before.attempt
    status = replace(
        before,
        state=State.PENDING,
        reason="PodNotCreated",
        message="the pod is not created yet",
        attempt=number,
        retryAt="",
        pod="",
        node="",
        startedAt="",
        finishedAt="",
    )
    return Step(status, start=number)


def _seconds(attempt: AttemptSeen) -> float:
    pod = attempt.pod
    if pod is None or pod.startedAt is None or pod.finishedAt is None:
        return 0.0
    return (pod.finishedAt - pod.startedAt).total_seconds()


def _gpu_seconds(view: _View, attempt: AttemptSeen) -> int:
    count = view.seen.job.spec.gpu.count if view.stage.gpu else 0
    return round(_seconds(attempt) * count)
