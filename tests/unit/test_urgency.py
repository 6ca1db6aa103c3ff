"""Which changes of a status are written at once, and which may wait for others."""

from dataclasses import replace
from typing import Any

import pytest

from olive_operator.api.seen import Ref
from olive_operator.api.status import Condition, Phase, ServingStatus, StageStatus, State, Status
from olive_operator.plan import Plan
from olive_operator.plan.status import Event
from olive_operator.reconcile import urgency

PENDING = StageStatus(
    "quantize", State.PENDING, "PodNotCreated", "not created", address="k1", attempt=1
)
RUNNING = replace(PENDING, state=State.RUNNING, reason="Running", message="", pod="p", node="n")
SERVING = ServingStatus("http://x", 2, 1, "m1", "olive-store")


def status(stage: StageStatus = PENDING, **fields: Any) -> Status:
    reconciling = Condition("Reconciling", "True", stage.reason, stage.message, "t", 1)
    values = {"phase": Phase.RUNNING, "stage": stage.name, "conditions": (reconciling,), **fields}
    return Status(stages=(stage,), **values)


CHANGES: dict[str, tuple[Status, Status, float | None]] = {
    "nothing": (status(), status(), None),
    "the pod is placed": (status(), status(replace(PENDING, reason="Scheduling")), urgency.LATER),
    "the pod's image comes": (
        status(),
        status(replace(PENDING, reason="ContainerCreating", pod="p", node="n")),
        urgency.LATER,
    ),
    "no node is free": (status(), status(replace(PENDING, reason="NoFreeGPU")), urgency.SOON),
    "it runs": (status(), status(RUNNING), urgency.SOON),
    "it is further": (status(RUNNING), status(replace(RUNNING, percent=5)), urgency.SOON),
    "a further attempt": (status(RUNNING), status(replace(PENDING, attempt=2)), urgency.AT_ONCE),
    "it has failed": (
        status(RUNNING),
        status(replace(RUNNING, endedAttempt=1, failures=1, retryAt="t")),
        urgency.AT_ONCE,
    ),
    "it is done": (
        status(RUNNING),
        status(replace(RUNNING, state=State.SUCCEEDED)),
        urgency.AT_ONCE,
    ),
    "it asks for something else": (
        status(RUNNING),
        status(replace(RUNNING, address="k2")),
        urgency.AT_ONCE,
    ),
    "a condition turns": (
        status(),
        status(conditions=(Condition("Reconciling", "False", "x", "y", "t2", 1),)),
        urgency.AT_ONCE,
    ),
    "the spec is another": (status(), status(observedGeneration=2), urgency.AT_ONCE),
    "a replica is ready": (
        status(serving=SERVING),
        status(serving=replace(SERVING, readyReplicas=2)),
        urgency.SOON,
    ),
    "another model is served": (
        status(serving=SERVING),
        status(serving=replace(SERVING, model="m2")),
        urgency.AT_ONCE,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_a_status(change: str) -> None:
    before, after, wait = CHANGES[change]
    assert urgency.wait(before, Plan(after)) == wait


@pytest.mark.parametrize(
    "more",
    [
        {"create": ({"kind": "Job"},)},
        {"apply": ({"kind": "Service"},)},
        {"delete": (Ref("Job", "a"),)},
        {"events": (Event("Normal", "Ready", "x"),)},
    ],
    ids=lambda more: next(iter(more)),
)
def test_status_goes_before_what_is_done_for_it(more: dict[str, Any]) -> None:
    assert urgency.wait(status(), Plan(status(RUNNING), **more)) == urgency.AT_ONCE


def test_plan_that_does_something_without_news_writes_no_status() -> None:
    assert urgency.wait(status(), Plan(status(), create=({"kind": "Job"},))) is None
