"""Ready, Reconciling and Stalled: what Argo CD, kstatus and ``kubectl wait`` read.

See sigs.k8s.io/cli-utils/pkg/kstatus: Reconciling and Stalled are true only while they mean
something is going on, or nothing can.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from olive_contract.failures import FailureClass
from olive_operator.api.status import UNDER_WAY, Condition, Phase, StageStatus, State
from olive_operator.plan.limits import NO_PROGRESS
from olive_operator.plan.pods import REFUSED, STALLED
from olive_operator.plan.retries import POLICY

_GATE_ADVICE = "change the gate or the training; what is served stays as it is"

_NO_ROUTES = (
    "spec.serve.route asks for an HTTPRoute, and the operator was not told that the cluster has "
    "the Gateway API; set gatewayAPI in the chart's values, or leave route out. The model is "
    "being served inside the cluster"
)
_HALTED = frozenset({REFUSED, "RouteUnavailable"})
"""Reasons for which no stage stands still, and yet only a person can bring what is missing."""

MESSAGE_LIMIT = 4096
"""Characters of a condition's message; the CRD allows more, people read less."""


@dataclass(frozen=True)
class Summary:
    """The job in one line: phase for people, reason and message for the conditions."""

    phase: Phase
    reason: str
    message: str


def summary(
    stages: Sequence[StageStatus],
    suspended: bool,
    serves: bool,
    answers: bool,
    refused: str,
    unrouted: bool,
) -> Summary:
    """What the stages and the serving come to.

    ``serves``: a serving is asked for. ``refused``: what the API server does not take, beside
    attempts; empty if there is nothing. ``unrouted``: the serving cannot have the route that is
    asked for.
    """
    left = [s for s in stages if s.state != State.SUCCEEDED]
    if suspended and any(s.reason == "Suspended" for s in left):
        return Summary(Phase.SUSPENDED, "Suspended", f"{_names(left, 'to be done')}, when resumed")
    failed = [s for s in stages if s.state == State.FAILED or s.missed_gate]
    if failed and not any(s.state in UNDER_WAY for s in stages):
        return Summary(Phase.FAILED, failed[0].reason, "; ".join(_sentence(s) for s in failed))
    if refused:
        return Summary(Phase.PENDING, REFUSED, f"the API server refused {refused}")
    if stuck := [s for s in stages if _stuck(s)]:
        return Summary(Phase.PENDING, stuck[0].reason, f"{stuck[0].name}: {stuck[0].message}")
    if running := [s for s in left if s.state == State.RUNNING]:
        return Summary(Phase.RUNNING, "StagesRunning", _names(running, "at work"))
    if pending := [s for s in left if s.state == State.PENDING]:
        first = pending[0]
        phase = Phase.PENDING if len(left) == len(stages) else Phase.RUNNING
        return Summary(phase, first.reason, f"{first.name}: {first.message}")
    if left:
        return Summary(Phase.PENDING, "StagesWaiting", _names(left, "to be done"))
    if not serves:
        return Summary(Phase.READY, "Completed", "every stage is done")
    if answers and unrouted:
        return Summary(Phase.PENDING, "RouteUnavailable", _NO_ROUTES)
    if answers:
        return Summary(Phase.READY, "Serving", "the model and its adapters are being served")
    return Summary(
        Phase.RUNNING, "ServingStarting", "every stage is done; the serving is not ready yet"
    )


def conditions(
    now: str,
    generation: int,
    found: Summary,
    stages: Sequence[StageStatus],
    before: Sequence[Condition],
) -> tuple[Condition, ...]:
    """The three conditions; a transition time changes only with the status it belongs to."""
    ready = found.phase == Phase.READY
    halted = found.phase == Phase.FAILED or found.reason in _HALTED
    stalled = halted or any(_stuck(s) for s in stages)
    wanted = (
        ("Ready", ready),
        ("Reconciling", not ready and not stalled and found.phase != Phase.SUSPENDED),
        ("Stalled", stalled),
    )
    return tuple(
        _condition(kind, status, found, generation, now, before) for kind, status in wanted
    )


def _condition(
    kind: str,
    status: bool,
    found: Summary,
    generation: int,
    now: str,
    before: Sequence[Condition],
) -> Condition:
    word = "True" if status else "False"
    last = next((c for c in before if c.type == kind), None)
    since = last.lastTransitionTime if last and last.status == word else now
    message = found.message
    if len(message) > MESSAGE_LIMIT:
        message = f"{message[:MESSAGE_LIMIT]} … (the stages tell more)"
    return Condition(kind, word, found.reason, message, since, generation)


def _stuck(stage: StageStatus) -> bool:
    """Its pod waits for something that only a person can bring, or says nothing any more."""
    waits = stage.state == State.PENDING and stage.reason in STALLED
    return waits or (stage.state == State.RUNNING and stage.reason == NO_PROGRESS)


def _sentence(stage: StageStatus) -> str:
    advice = _GATE_ADVICE if stage.missed_gate else POLICY[FailureClass(stage.reason)].advice
    return f"{stage.name}: {stage.message} ({advice})"


def _names(stages: Sequence[StageStatus], what: str) -> str:
    return f"{', '.join(s.name for s in stages)} {what}"
