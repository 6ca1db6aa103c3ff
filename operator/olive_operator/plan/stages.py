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
from olive_operator.plan import outcomes, pods, retries
from olive_operator.plan.clock import instant
from olive_operator.plan.graph import claim_of
from olive_operator.plan.outcomes import View


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
    first = [name for name in stage.after if not ready(name)]
    if address is None:
        return Step(outcomes.waiting(before, [*waiting, *first]))
    if before.address != address.name:
        spent = before.gpuSeconds
        before = StageStatus(stage.name, State.WAITING, address=address.name, gpuSeconds=spent)
    attempt = _latest(stage, address, seen)
    view = View(stage, address, replace(before, key=address.key), attempt, seen, config, now)
    if address.key and address.key in seen.artifacts:
        return _done(view)
    if before.state == State.FAILED:
        return Step(before)
    if waiting:
        return Step(outcomes.waiting(before, [*waiting, *first]))
    if attempt and attempt.number >= before.attempt and attempt.number > before.endedAttempt:
        return _observed(view, attempt)
    if first:  # what has begun goes on: only a beginning waits for what comes first
        return Step(outcomes.waiting(before, first))
    return _absent(view)


def _latest(stage: Stage, address: Address, seen: Seen) -> AttemptSeen | None:
    work = (stage.name, address.name, claim_of(seen.job.spec))
    ours = [a for a in seen.attempts if (a.stage, a.address, a.claim) == work]
    return max(ours, key=lambda a: a.number, default=None)


def _done(view: View) -> Step:
    """The store has the artifact. It was there already unless one of our attempts made it."""
    if view.before.state == State.SUCCEEDED:
        return Step(view.before)
    attempt, key = view.attempt, view.address.key
    report = attempt.pod.report if attempt and attempt.pod else None
    fresh = attempt is not None and attempt.number > view.before.endedAttempt
    if attempt and report and fresh and (report.outcome, report.key) == ("Succeeded", key):
        return Step(outcomes.succeeded(view, attempt, report))
    return Step(outcomes.cached(view))


def _observed(view: View, attempt: AttemptSeen) -> Step:
    """The latest attempt is there: pending, running, or finished one way or the other."""
    if not attempt.deleting and not attempt.ended:
        return Step(outcomes.going_on(view, attempt), start=attempt.number)
    report = attempt.pod.report if attempt.pod else None
    if attempt.ended == "Complete" and report and report.outcome == "Succeeded":
        source = report.key if view.stage.kind == "fetch" else ""
        return Step(outcomes.succeeded(view, attempt, report), made=report, source=source)
    if attempt.deleting and not attempt.ended:
        return Step(replace(view.before, state=State.PENDING, attempt=attempt.number))
    return _failed(view, attempt)


def _failed(view: View, attempt: AttemptSeen) -> Step:
    """Count the failure once, and try again if it is time for that already."""
    found = pods.failure(attempt)
    failures = view.before.failures + retries.POLICY[found.failure].counts
    ended = outcomes.ended_at(view, attempt)
    at = retries.retry_at(found.failure, failures, attempt.number, view.config.retry, ended)
    status = outcomes.failed(view, attempt, found, failures, at)
    lost = found.missing if found.failure == FailureClass.INPUT_MISSING else ""
    if at and at <= view.now:
        number = attempt.number + 1
        return Step(replace(status, attempt=number, retryAt=""), start=number, lost=lost)
    return Step(status, lost=lost, again=at)


def _absent(view: View) -> Step:
    """No attempt is under way: start the first, or the one that is due, or wait for its time."""
    before = view.before
    if before.retryAt and (at := instant(before.retryAt)) > view.now:
        return Step(before, again=at)
    number = before.attempt + 1 if before.attempt == before.endedAttempt else before.attempt
    return Step(outcomes.due(view, number), start=number)
