"""Gates: what they say of measurements, and what becomes of a job that does not pass them."""

import pytest
from builders import World, adapter, spec

from olive_contract.failures import FailureClass
from olive_operator.api.spec import Spec
from olive_operator.plan.gates import failed

BASE = ("fetch/model", "quantize", "export")
GATES = {"gates": [{"metric": "perplexity", "max": 9.5}]}
GOOD, BAD = {"perplexity": 9.1}, {"perplexity": 11.2}
MISSED = "perplexity is 11.2, at most 9.5 is asked for"


def trained(name: str) -> tuple[str, ...]:
    """What comes before the evaluation of one adapter."""
    kinds = ("fetch", "check", "finetune", "adapter", "reference")
    return tuple(f"{kind}/{name}" for kind in kinds)


def measured(found: dict[str, float], **sections: object) -> World:
    """A job whose only adapter was measured to be so."""
    world = World(**{"evaluate": GATES, **sections}).settle()
    world.finish(*BASE, *trained("travel"))
    return world.finish("evaluate/travel", metrics=found)


def names_served(world: World) -> list[str]:
    served = world.served()
    assert served is not None
    return [a["name"] for a in served["adapters"]]


@pytest.mark.parametrize(
    ("gate", "value", "says"),
    [
        pytest.param({"metric": "f1", "min": 0.5}, 0.5, "", id="the least that passes"),
        pytest.param({"metric": "f1", "max": 0.5}, 0.5, "", id="the most that passes"),
        pytest.param(
            {"metric": "f1", "min": 0.5},
            0.4321987,
            "f1 is 0.432199, at least 0.5 is asked for",
            id="too little",
        ),
        pytest.param(
            {"metric": "perplexity", "max": 9},
            11.0,
            "perplexity is 11, at most 9 is asked for",
            id="too much",
        ),
        pytest.param({"metric": "sizeBytes", "max": "3Gi"}, 3221225472.0, "", id="just 3Gi"),
        pytest.param(
            {"metric": "sizeBytes", "max": "3Gi"},
            3221225473.0,
            "sizeBytes is 3221225473, at most 3Gi is asked for",
            id="a byte over 3Gi",
        ),
        pytest.param(
            {"metric": "perplexity", "max": 9},
            float("nan"),
            "perplexity was not measured, at most 9 is asked for",
            id="no number",
        ),
        pytest.param(
            {"metric": "tokensPerSecond", "min": 1},
            None,
            "tokensPerSecond was not measured (an export for a GPU is not timed on a CPU), "
            "at least 1 is asked for",
            id="not measured, and why",
        ),
        pytest.param({"metric": "f1", "min": "900m"}, 0.9, "", id="thousandths"),
        pytest.param({"metric": "f1", "min": "0.9"}, 0.9, "", id="a number in quotes"),
        pytest.param(
            {"metric": "perplexityChange", "min": -0.1, "max": 0.1}, -0.05, "", id="between bounds"
        ),
        pytest.param(
            {"metric": "perplexityChange", "min": -0.1, "max": 0.1},
            -0.2,
            "perplexityChange is -0.2, at least -0.1 is asked for",
            id="below both bounds",
        ),
        pytest.param(
            {"metric": "f1", "min": 0.5},
            None,
            "f1 was not measured (a template that begins with its last column asks nothing), "
            "at least 0.5 is asked for",
            id="not measured",
        ),
    ],
)
def test_gate_and_measurement(gate: dict[str, object], value: float | None, says: str) -> None:
    job = Spec.from_body(spec(evaluate={"gates": [gate]}))
    metrics = {} if value is None else {str(gate["metric"]): value}
    measured = {"evaluate/travel": metrics, "finetune/travel": {}}
    assert [f.message for f in failed(job, measured)] == ([says] if says else [])


def test_every_evaluation_must_pass_every_gate() -> None:
    gates = [{"metric": "perplexity", "max": 9.5}, {"metric": "f1", "min": 0.5}]
    job = Spec.from_body(spec(evaluate={"gates": gates}))
    good, bad = {"perplexity": 9.0, "f1": 0.9}, {"perplexity": 9.6, "f1": 0.1}
    found = failed(job, {"evaluate/base": good, "evaluate/travel": bad})
    assert [(f.stage, f.message) for f in found] == [
        ("evaluate/travel", "perplexity is 9.6, at most 9.5 is asked for"),
        ("evaluate/travel", "f1 is 0.1, at least 0.5 is asked for"),
    ]


def test_adapter_that_passes_is_served() -> None:
    assert measured(GOOD).roll_out().condition("Ready") == ("True", "Serving")


def test_adapter_that_misses_a_gate_stalls_the_job_and_nothing_is_served() -> None:
    world = measured(BAD)
    assert world.served() is None
    assert world.condition("Ready") == ("False", "GateFailed")
    assert world.condition("Stalled") == ("True", "GateFailed")
    assert world.condition("Reconciling")[0] == "False"
    assert world.status.conditions[2].message.startswith(f"evaluate/travel: {MISSED} (")
    stage = world.stage("evaluate/travel")
    assert (stage.state, stage.reason, stage.message) == ("Succeeded", "GateFailed", MISSED)
    assert (world.status.phase, world.status.stage) == ("Failed", "evaluate/travel")


def test_missed_gate_is_told_once() -> None:
    world = measured(BAD).wait(60).annotate_retry("1")
    told = [t for t in world.told if "GateFailed" in t]
    assert told == [f"Warning GateFailed evaluate/travel: {MISSED}"]


def test_loosened_gate_lets_the_job_go_on_and_runs_nothing() -> None:
    world = measured(BAD)
    before = len(world.started)
    world.edit(evaluate={"gates": [{"metric": "perplexity", "max": 12}]})
    assert world.roll_out().condition("Ready") == ("True", "Serving")
    assert world.stage("evaluate/travel").reason == "Built"
    assert world.stage("evaluate/travel").message == ""
    assert world.started[before:] == []


def test_tightened_gate_stalls_the_job_and_leaves_what_is_served() -> None:
    world = measured(GOOD).roll_out()
    before, served = len(world.started), world.served()
    world.edit(evaluate={"gates": [{"metric": "perplexity", "max": 5}]})
    assert world.condition("Stalled") == ("True", "GateFailed")
    assert world.served() == served
    assert world.started[before:] == []


def test_job_without_serve_is_not_ready_with_a_missed_gate_either() -> None:
    assert measured(BAD, serve=None).condition("Ready") == ("False", "GateFailed")


def test_measurement_from_the_store_is_judged_as_one_just_made() -> None:
    world = measured(BAD)
    world.edit(adapters=[], evaluate=None).edit(evaluate=GATES)
    assert world.stage("evaluate/travel").cached
    assert world.stage("evaluate/travel").metrics == BAD
    assert world.condition("Stalled") == ("True", "GateFailed")


def test_measurement_that_two_adapters_share_is_judged_for_both() -> None:
    twins = [adapter("travel"), {**adapter("travel"), "name": "twin"}]
    world = World(evaluate=GATES, adapters=twins).settle()
    world.finish(*BASE, "fetch/travel", *trained("travel")[1:])
    world.finish("evaluate/travel", metrics=GOOD)
    assert [name for name in world.started if name.endswith("/twin")] == [], "all is made once"
    assert world.stage("evaluate/twin").metrics == GOOD
    assert names_served(world) == ["travel", "twin"]


def test_second_adapter_that_passes_joins_the_model_that_is_served() -> None:
    both = [adapter("travel"), adapter("food")]
    world = measured(GOOD).roll_out()
    world.edit(evaluate=GATES, adapters=both).finish(*trained("food"))
    assert names_served(world) == ["travel"]
    world.finish("evaluate/food", metrics=GOOD)
    assert names_served(world) == ["travel", "food"]


def test_second_adapter_that_misses_a_gate_is_not_served_and_the_first_stays() -> None:
    both = [adapter("travel"), adapter("food")]
    world = measured(GOOD).roll_out()
    world.edit(evaluate=GATES, adapters=both).finish(*trained("food"))
    world.finish("evaluate/food", metrics=BAD)
    assert names_served(world) == ["travel"]
    assert world.condition("Stalled") == ("True", "GateFailed")


def test_third_adapter_joins_although_the_second_misses_a_gate() -> None:
    three = [adapter("travel"), adapter("food"), adapter("music")]
    world = measured(GOOD).roll_out()
    world.edit(evaluate=GATES, adapters=three).finish(*trained("food"), *trained("music"))
    world.finish("evaluate/food", metrics=BAD)
    assert world.condition("Stalled")[0] == "False", "a stage is at work still"
    world.finish("evaluate/music", metrics=GOOD)
    assert names_served(world) == ["travel", "music"]
    assert world.roll_out().condition("Ready") == ("False", "GateFailed")


def test_while_any_gate_is_missed_no_serving_is_begun() -> None:
    world = World(evaluate=GATES, adapters=[adapter("travel"), adapter("food")]).settle()
    world.finish(*BASE, *trained("travel"), *trained("food"))
    world.finish("evaluate/travel", metrics=GOOD).finish("evaluate/food", metrics=BAD)
    assert world.served() is None


def test_retrained_adapter_that_misses_a_gate_leaves_its_predecessor_served() -> None:
    world = measured(GOOD).roll_out()
    served = world.served()
    world.edit(evaluate=GATES, adapters=[adapter("travel", rank=4)])
    world.finish("check/travel", "finetune/travel", "adapter/travel")
    world.finish("evaluate/travel", metrics=BAD)
    assert world.served() == served


def test_other_base_that_misses_a_gate_does_not_take_over() -> None:
    world = measured(GOOD).roll_out()
    served = world.served()
    world.edit(evaluate=GATES, model={"source": "pvc://models/other"})
    again = (s for s in trained("travel") if not s.startswith("fetch"))
    world.finish(*BASE, *again).finish("evaluate/travel", metrics=BAD)
    assert world.served() == served
    assert world.condition("Stalled") == ("True", "GateFailed")


def test_base_that_misses_a_gate_is_not_served() -> None:
    data = {"source": "pvc://data/rows.jsonl", "template": "{text}"}
    world = World(adapters=[], evaluate={**GATES, "data": data}).settle()
    world.finish(*BASE, "fetch/base", "reference/base").finish("evaluate/base", metrics=BAD)
    assert world.served() is None
    assert world.status.stage == "evaluate/base"


def test_evaluation_that_failed_has_passed_no_gate() -> None:
    data = {"source": "pvc://data/rows.jsonl", "template": "{text}"}
    gated = {**GATES, "data": data}
    world = World(adapters=[], evaluate=gated).settle()
    world.finish(*BASE, "fetch/base", "reference/base").finish("evaluate/base", metrics=GOOD)
    served = world.roll_out().served()
    assert served is not None
    world.edit(adapters=[], evaluate=gated, model={"source": "pvc://models/other"})
    world.finish(*BASE, "reference/base").fail("evaluate/base", FailureClass.INVALID_INPUT)
    assert world.served() == served, "the other base was not measured"


def test_failure_beside_a_missed_gate_is_told_with_it() -> None:
    world = World(evaluate=GATES, adapters=[adapter("travel"), adapter("food")]).settle()
    world.finish(*BASE, *trained("travel")).fail("fetch/food", FailureClass.INVALID_INPUT)
    world.finish("evaluate/travel", metrics=BAD)
    message = world.status.conditions[2].message
    assert MISSED in message
    assert "fetch/food: it broke" in message
