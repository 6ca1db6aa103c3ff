"""Gates: the bounds that evaluations must keep before anything new is served. Pure.

They are no part of any key: a changed gate judges what was measured already, and runs nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from olive_operator.api.spec import Gate, Spec
from olive_operator.api.stage import Stage
from olive_operator.api.status import GATE_FAILED, StageStatus, State
from olive_operator.plan.outcomes import shortened

_UNMEASURED = {
    **dict.fromkeys(
        ("tokensPerSecond", "timeToFirstTokenSeconds"),
        "an export for a GPU is not timed on a CPU",
    ),
    **dict.fromkeys(
        ("exactMatch", "f1"), "a template that begins with its last column asks nothing"
    ),
    **dict.fromkeys(
        ("originalPerplexity", "perplexityChange"),
        "it takes quantize or workflow, and evaluate.reference",
    ),
}
"""Why a measurement may lack a metric."""


@dataclass(frozen=True)
class FailedGate:
    """A gate that an evaluation has not passed: which stage's, and how it missed."""

    stage: str
    message: str


def failed(spec: Spec, measured: Mapping[str, Mapping[str, float]]) -> tuple[FailedGate, ...]:
    """The gates that do not hold; ``measured``: the metrics of stages that are done, by name.

    Every evaluation among them must pass every gate; other stages are not looked at.
    """
    gates = spec.evaluate.gates if spec.evaluate else ()
    return tuple(
        FailedGate(stage, message)
        for stage, metrics in measured.items()
        if stage.startswith("evaluate/")
        for gate in gates
        for message in _missed(gate, metrics.get(gate.metric))
    )


def holding(stage: Stage, spec: Spec, inputs: Mapping[str, StageStatus]) -> frozenset[str]:
    """The evaluations whose gates keep the stage from publishing; ``inputs``: those it comes after.

    What is not measured yet is waited for anyway.
    """
    if stage.kind != "publish":
        return frozenset()
    measured = {name: s.metrics for name, s in inputs.items() if s.state == State.SUCCEEDED}
    return frozenset(gate.stage for gate in failed(spec, measured))


def judged(spec: Spec, stages: Sequence[StageStatus]) -> dict[str, StageStatus]:
    """The stages by name; an evaluation that misses a gate says so instead of how it was made."""
    measured = {s.name: s.metrics for s in stages if s.state == State.SUCCEEDED}
    missed: dict[str, list[str]] = {}
    for gate in failed(spec, measured):
        missed.setdefault(gate.stage, []).append(gate.message)
    return {s.name: _judged(s, missed.get(s.name, [])) for s in stages}


def _judged(stage: StageStatus, missed: list[str]) -> StageStatus:
    if missed:
        return replace(stage, reason=GATE_FAILED, message=shortened("; ".join(missed)))
    if stage.missed_gate:
        return replace(stage, reason="Cached" if stage.cached else "Built", message="")
    return stage


def _missed(gate: Gate, value: float | None) -> Iterator[str]:
    if value is not None and not math.isfinite(value):
        value = None  # no number compares with it
    found = f"was not measured{_why(gate.metric)}" if value is None else f"is {_text(value)}"
    if gate.min is not None and (value is None or value < _number(gate.min)):
        yield f"{gate.metric} {found}, at least {_text(gate.min)} is asked for"
    if gate.max is not None and (value is None or value > _number(gate.max)):
        yield f"{gate.metric} {found}, at most {_text(gate.max)} is asked for"


def _why(metric: str) -> str:
    return f" ({_UNMEASURED[metric]})" if metric in _UNMEASURED else ""


def _number(bound: float | str) -> float:
    """A bound as Kubernetes reads quantities: ``3Gi``, ``500m``, ``9.5``."""
    # It brings the whole client along: half a second that a job without gates does not need.
    from kubernetes.utils.quantity import parse_quantity

    return float(parse_quantity(bound))


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() else f"{value:.6g}"
