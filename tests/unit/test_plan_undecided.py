"""What runs while an edit has its inputs made anew: it may come out the same, or be for nothing."""

import pytest
from builders import World, adapter

from olive_contract.failures import FailureClass

OTHER = {"model": {"source": "pvc://models/other"}}


def exporting(**sections: object) -> World:
    """Its export runs; then the source of the model is edited, and what that holds is not known."""
    world = World(serve=None, evaluate=None, adapters=[], **sections)
    world.contents = {"pvc://models/tiny": "same", "pvc://models/other": "same"}
    return edited(world.settle().finish("fetch/model", "quantize").run("export"), **sections)


def edited(world: World, **sections: object) -> World:
    return world.edit(serve=None, evaluate=None, adapters=[], **OTHER, **sections)


def under_way(world: World) -> list[str]:
    return [a.stage for a in world.seen.attempts if not a.ended]


def test_it_goes_on_and_counts_when_the_inputs_come_out_the_same() -> None:
    world = exporting()
    assert under_way(world) == ["export", "fetch/model"]
    assert world.stage("export").state == "Running"
    world.finish("fetch/model", "export")
    assert world.condition("Ready") == ("True", "Completed")
    assert world.started.count("export") == 1


def test_what_it_has_made_by_then_is_found() -> None:
    world = exporting().finish("export")
    assert world.stage("export").state == "Waiting"
    world.finish("fetch/model")
    assert (world.stage("export").state, world.stage("export").reason) == ("Succeeded", "Cached")
    assert world.started.count("export") == 1


def test_what_it_has_made_is_recorded_at_once() -> None:
    world = exporting()
    key = world.attempt("export").address
    assert key in {record.key for record in world.finish("export").records}


def test_it_is_ended_when_they_come_out_otherwise() -> None:
    world = exporting()
    world.contents = {}
    world.finish("fetch/model")
    assert under_way(world) == ["quantize"]


def test_suspending_the_job_ends_it() -> None:
    world = edited(exporting(), suspend=True)
    assert under_way(world) == []
    assert world.status.phase == "Suspended"
    assert world.stage("export").state == "Waiting"
    edited(world).finish("fetch/model")
    assert world.attempt("export").number == 2
    assert world.stage("export").failures == 0


@pytest.mark.parametrize("at", ["fetch/model", "fetch/travel"])
def test_it_is_ended_when_what_it_waits_for_has_failed_for_good(at: str) -> None:
    world = World(serve=None, evaluate=None).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel", "export")
    world.run("finetune/travel")
    elsewhere = adapter("travel")
    elsewhere["data"]["source"] = "pvc://data/elsewhere.jsonl"
    model = OTHER if at == "fetch/model" else {"adapters": [elsewhere]}
    world.edit(serve=None, evaluate=None, **model)
    assert "finetune/travel" in under_way(world)
    world.wait(60).fail(at, FailureClass.SOURCE_NOT_FOUND)
    assert under_way(world) == []
    assert world.status.phase == "Failed"
    assert world.stage("finetune/travel").gpuSeconds >= 60


def test_it_may_run_as_long_as_any_other() -> None:
    limit = {"timeouts": {"export": "10m"}, "progressDeadline": "5m"}
    world = exporting(**limit).wait(300)
    assert world.stage("export").reason == "NoProgress"
    assert world.condition("Stalled") == ("True", "NoProgress")
    assert world.last is not None
    assert world.last.again is not None
    world.wait(300)
    assert under_way(world) == ["fetch/model"]
    assert world.stage("export").failures == 1
    assert "it ran for 10m" in world.stage("export").lastFailure
