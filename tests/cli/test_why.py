"""What a job waits for, or why it has failed, in sentences."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import World

from olive_cli.job.advice import OTHERS, PENDING, advice
from olive_contract.failures import FailureClass
from olive_operator.plan.pods import STALLED

from .api import Objects, Olive, at, namespace
from .files import GOLDEN, hold
from .jobs import GENERATION, lived
from .test_status import TWO, at_work

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def whole(status: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "travel", "namespace": "ml", "generation": GENERATION}
    return {"metadata": meta, "status": {"observedGeneration": GENERATION, **status}}


@pytest.mark.parametrize(
    "name",
    [*("running", "ready", "failed", "held-back", "waiting", "suspended", "silent")],
)
def test_every_state_of_a_job(olive: Olive, name: str) -> None:
    body = whole(yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()))
    told = olive.asked(namespace(optimizationjobs=[body]), "why", "travel")
    assert told.code == 0
    hold(f"why-{name}.txt", told.out)


def test_one_adapter_has_failed_while_the_other_is_trained(olive: Olive) -> None:
    told = olive.asked(namespace(optimizationjobs=[lived(at_work(), **TWO)]), "why", "travel")
    hold("why.txt", told.out)


def warning(of: str, reason: str, message: str, **more: Any) -> dict[str, Any]:
    return {"involvedObject": {"name": of}, "reason": reason, "message": message, **more}


def test_the_events_of_the_pod_that_does_not_start_are_told(olive: Olive) -> None:
    world = World().settle()
    world.pod("fetch/model", node="n1", waiting="ContainerCreating")
    body = lived(world)
    attempt = world.attempt("fetch/model").name
    found = [
        warning(f"{attempt}-x", "FailedMount", 'secret "hub-ca"\n not found', count=7),
        warning("somebody-elses-1-x", "FailedMount", "not ours"),
        warning(world.attempt("fetch/travel").name, "FailedCreate", "exceeded quota: pods"),
    ]
    told = olive.asked(namespace(optimizationjobs=[body], events=found), "why", "travel")
    hold("why-events.txt", told.out)


def test_without_the_right_to_events_the_rest_is_told(olive: Olive) -> None:
    objects = namespace(optimizationjobs=[lived(World().settle())])
    objects.texts[at("events", base="/api/v1")] = (403, '{"message": "User jo cannot list"}')
    told = olive.asked(objects, "why", "travel")
    assert told.code == 0
    assert "fetch/model waits (PodNotCreated)" in told.out
    assert "  these come after: quantize, export, " in told.out
    assert told.out.splitlines()[-1].startswith("(the events of its pods are not told: you may not")


def test_a_serving_that_does_not_come_up(olive: Olive) -> None:
    status = {
        "phase": "Running",
        "stages": [{"name": "export", "state": "Succeeded", "reason": "Cached"}],
        "serving": {"replicas": 2, "readyReplicas": 0, "adapters": [{"name": "a", "key": "k"}]},
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "ServingStarting", "message": "not yet"}
            | {"observedGeneration": GENERATION}
        ],
    }
    found = [warning("travel-serving-5d7-x", "FailedScheduling", "0/3 nodes: Insufficient memory")]
    objects = namespace(optimizationjobs=[whole(status)], events=found)
    hold("why-serving.txt", olive.asked(objects, "why", "travel").out)


@pytest.mark.parametrize(
    ("meta", "status", "told"),
    [
        ({"generation": 1}, {}, "travel is new: the operator has not looked at it yet"),
        (
            {"generation": 9},
            {"phase": "Ready"},
            "travel was edited: the operator has not looked at the newest spec yet",
        ),
    ],
)
def test_a_job_that_the_operator_has_not_seen(
    olive: Olive, meta: dict[str, Any], status: dict[str, Any], told: str
) -> None:
    body = whole(status)
    body["metadata"] |= meta
    objects = namespace(optimizationjobs=[body])
    assert olive.asked(objects, "why", "travel").out.startswith(told)


def test_no_such_job(olive: Olive) -> None:
    ended = olive.asked(Objects({at("optimizationjobs"): []}), "why", "travel")
    assert ended.code == 3


def reasons(title: str, end: str) -> set[str]:
    """The reasons that a table of docs/operations.md has."""
    text = OPERATIONS.partition(title)[2].partition(end)[0]
    return {r for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.M) for r in _names(row)}


def _names(row: str) -> list[str]:
    return re.findall(r"`(\w+)`", row)


def test_there_is_advice_for_every_reason_of_the_documents() -> None:
    assert set(PENDING) == reasons("Why a pod does not start", "## Failures")
    stages = reasons("The reason of a stage", "Why a pod does not start")
    going_on = {"Built", "Cached", "NotNeeded", "Running", "WaitingForInputs", "Suspended"}
    assert set(OTHERS) == stages - going_on | {"RouteUnavailable"}
    assert set(PENDING) >= STALLED


@pytest.mark.parametrize("failure", list(FailureClass))
def test_the_advice_on_a_failure_names_our_commands(failure: FailureClass) -> None:
    told = advice(failure.value, "travel", "ml", "export")
    assert told
    assert "annotate" not in told


def test_a_reason_of_a_newer_operator_has_no_advice() -> None:
    assert advice("MoonPhase", "travel", "ml", "export") == ""


def test_a_state_of_a_newer_operator_is_told_as_it_is(olive: Olive) -> None:
    stages = [{"name": "distill", "state": "Dreaming", "message": "of electric sheep"}]
    body = whole({"phase": "Asleep", "stages": stages})
    told = olive.asked(namespace(optimizationjobs=[body]), "why", "travel")
    assert told.code == 0
    assert told.out.splitlines() == [
        "travel waits (Asleep)",
        "  distill is Dreaming: of electric sheep",
    ]
