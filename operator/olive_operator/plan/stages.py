"""One stage's next state: from its address, its attempts and what was known, to what is to be done.

Level-triggered: the same inputs give the same answer, however often it is asked.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from datetime import datetime

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.config import Config
from olive_operator.plan import (
    attempts,
    gates,
    limits,
    needs,
    outcomes,
    pods,
    retries,
    sharing,
    spent,
    volumes,
    waits,
)
from olive_operator.plan.clock import instant
from olive_operator.plan.view import View


@dataclass(frozen=True)
class Step:
    """What a stage comes to in one pass.

    ``start``: the number of the attempt that must exist. ``made``: an artifact to record.
    ``source``: the key that a fetch's request was found to be. ``lost``: an artifact whose record
    is wrong. ``again``: when to look again. ``hopeless``: the stage, or what it waits for, has
    failed for good.
    """

    status: StageStatus
    start: int = 0
    made: Report | None = None
    source: str = ""
    lost: str = ""
    again: datetime | None = None
    hopeless: bool = False


def step(
    stage: Stage,
    address: Address | None,
    needed: bool,
    others: Callable[[str], Step],
    maker: Step | None,
    seen: Seen,
    config: Config,
    now: datetime,
) -> Step:
    """The stage's state and what it asks for.

    ``others``: the steps of the stages that it comes after. ``maker``: that of the one which makes
    the same artifact and goes first, if there is one.
    """
    before = seen.job.status.stage_named(stage.name) or StageStatus(stage.name, State.WAITING)
    first = {name: others(name) for name in (*stage.inputs.values(), *stage.after)}
    held = gates.holding(stage, seen.job.spec, {n: s.status for n, s in first.items()})
    waits_for = [name for name, s in first.items() if s.status.state != State.SUCCEEDED]
    hopeless = bool(held) or any(first[name].hopeless for name in waits_for)
    if address is None:
        return _undecided(stage, before, waits_for, hopeless, seen, config, now)
    if before.address != address.name:
        gpu = before.gpuSeconds + spent.in_vain(stage, before, seen, now)
        before = StageStatus(stage.name, State.WAITING, address=address.name, gpuSeconds=gpu)
    ours = attempts.at_work(address.name, seen)
    attempt = attempts.latest(stage.name, ours)
    view = View(stage, address, replace(before, key=address.key), attempt, seen, config, now)
    if needs.present(address, seen):
        return _done(view)
    if attempt and attempts.told(before, attempt):
        view = replace(view, attempt=None)
    if maker and not (view.attempt and view.attempt.ended):
        if maker.start:
            return Step(waits.twin(view, maker.status))
        view = replace(view, before=waits.of_twin(view.before, maker.status))
    found = _next(view, needed, waits_for, held, ours)
    return replace(found, hopeless=hopeless or found.status.state == State.FAILED)


def _undecided(
    stage: Stage,
    before: StageStatus,
    waits_for: list[str],
    hopeless: bool,
    seen: Seen,
    config: Config,
    now: datetime,
) -> Step:
    """What it reads is made anew since an edit. What runs goes on, as it may come out the same,
    and what has been made is recorded; what has come of all else can be told only then."""
    attempt = attempts.unsettled(before, seen)
    if attempt is None:
        return Step(waits.waiting(before, waits_for), hopeless=hopeless)
    address = Address(before.address, before.address, {})
    view = View(stage, address, before, attempt, seen, config, now)
    if not attempt.ended and (seen.job.spec.suspend or hopeless):
        return Step(waits.waiting(waits.withdrawn(view, attempt), waits_for), hopeless=hopeless)
    found = _observed(view, attempt)
    if found.start:
        return found
    return Step(waits.waiting(found.status, waits_for), made=found.made, hopeless=hopeless)


def _next(
    view: View, needed: bool, waits_for: list[str], held: Set[str], ours: list[AttemptSeen]
) -> Step:
    """What follows for a stage whose artifact is not there."""
    before, attempt = view.before, view.attempt
    if not needed and not (attempt and attempt.ended):
        settled = before.state == State.SUCCEEDED
        return Step(before if settled else outcomes.unneeded(view))
    if before.state == State.FAILED and not (attempt and attempt.made):
        return Step(before)
    if view.seen.job.spec.suspend and not (attempt and attempt.ended):
        return Step(waits.suspended(view, attempt))
    if held and not (attempt and attempt.ended):
        return Step(waits.gated(view, sorted(held)))
    if attempt:  # what is under way goes on: only a beginning waits
        found, suspended = _observed(view, attempt), view.seen.job.spec.suspend
        goes_on = attempt.ended and found.again and (suspended or found.again <= view.now)
        if not goes_on or found.lost:
            return found  # what is lost has to be there first
        view = replace(view, before=found.status, attempt=None)
        return _next(view, needed, waits_for, held, ours)
    if waits_for:
        return Step(waits.waiting(before, waits_for))
    return _absent(view, ours)


def _done(view: View) -> Step:
    """The store has the artifact. It was there already unless one of our attempts made it."""
    if view.before.state == State.SUCCEEDED:
        return Step(view.before)
    attempt, key = view.attempt, view.address.key
    report = attempt.pod.report if attempt and attempt.pod else None
    fresh = attempt and not attempts.told(view.before, attempt)
    if attempt and report and fresh and (report.outcome, report.key) == ("Succeeded", key):
        return Step(outcomes.succeeded(view, attempt, report))
    return Step(outcomes.cached(view))


def _observed(view: View, attempt: AttemptSeen) -> Step:
    """The latest attempt is there: pending, running, or finished one way or the other."""
    if not attempt.deleting and not attempt.ended:
        if other := sharing.ahead_of(attempt, view):
            return Step(waits.shared(view, other, attempt))
        if overdue := limits.overdue(view, attempt):
            return _failed(view, attempt, overdue)
        late = volumes.forgotten(view, attempt)
        if late and late <= view.now:
            return Step(waits.anew(view, attempt))
        status = limits.watched(view, outcomes.going_on(view, attempt))
        return Step(status, attempt.number, again=limits.next_look(view, attempt, status) or late)
    if report := attempt.made:
        source = report.key if view.stage.kind == "fetch" else ""
        if report.key in view.seen.sweeping:  # it found there what is being removed
            return Step(waits.sweeping(view, attempt), source=source)
        return Step(outcomes.succeeded(view, attempt, report), made=report, source=source)
    if attempt.deleting and not attempt.ended:
        return Step(replace(view.before, state=State.PENDING, attempt=attempt.number))
    return _failed(view, attempt, pods.failure(attempt))


def _failed(view: View, attempt: AttemptSeen, found: pods.Failure) -> Step:
    """Count the failure once, and say when it is tried again."""
    failures = view.before.failures + retries.POLICY[found.failure].counts
    policy = retries.policy_of(view.seen.job.spec.retry, view.config.retry)
    ended, who = spent.ended_at(view, attempt), f"{view.seen.job.uid} {view.stage.name}"
    at = retries.retry_at(found.failure, failures, attempt.number, policy, ended, who)
    status = outcomes.failed(view, attempt, found, failures, at)
    lost = found.missing if found.failure == FailureClass.INPUT_MISSING else ""
    return Step(status, lost=lost, again=at)


def _absent(view: View, ours: list[AttemptSeen]) -> Step:
    """No attempt is under way: start the first, or the one that is due, or wait for its time."""
    before = view.before
    if before.retryAt and (at := instant(before.retryAt)) > view.now:
        return Step(before, again=at)
    own = view.stage.name, before.endedAttempt
    if ending := [a for a in ours if not a.ended and (a.stage != own[0] or a.number <= own[1])]:
        return Step(waits.waits_for_end(view, ending[0]))
    if view.address.key in view.seen.sweeping:
        return Step(waits.sweeping(view))
    if other := sharing.builder(view):
        return Step(waits.shared(view, other), again=sharing.next_look(other, view.now))
    if why := pods.no_queue(view.seen.queue) or volumes.not_yet(view):
        return Step(waits.held_back(view, why))
    number = before.attempt + 1 if before.attempt == before.endedAttempt else before.attempt
    return Step(outcomes.due(view, number), start=number)
