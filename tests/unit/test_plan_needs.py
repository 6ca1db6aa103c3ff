"""What was swept out of the store is made again only for the sake of what is made from it."""

from typing import Any

import pytest
from builders import World, adapter

STAGES = (
    *("fetch/model", "quantize", "export", "fetch/travel", "check/travel"),
    *("finetune/travel", "adapter/travel", "reference/travel", "evaluate/travel"),
)

ALONE: dict[str, Any] = {"serve": None, "evaluate": None, "adapters": []}


def done(**sections: object) -> World:
    world = World(**sections).settle().finish(*STAGES)
    return world.roll_out() if world.served() else world


def sweep(world: World, *stages: str) -> World:
    """The records of these stages' artifacts go, as the store's upkeep removes them."""
    keys = {world.stage(stage).key for stage in stages}
    world.records = [r for r in world.records if r.key not in keys]
    return world.settle()


INTERMEDIATE = [s for s in STAGES if s not in ("export", "adapter/travel")]


@pytest.mark.parametrize("swept", [*INTERMEDIATE, "all of them"])
def test_intermediate_that_is_swept_is_missed_by_nobody(swept: str) -> None:
    world = done()
    before = list(world.started)
    sweep(world, *(INTERMEDIATE if swept == "all of them" else [swept]))
    assert world.started == before
    assert world.condition("Ready") == ("True", "Serving")
    assert world.wait(10**6).started == before


@pytest.mark.parametrize("swept", ["export", "adapter/travel"])
def test_what_is_served_is_made_again_from_what_is_there(swept: str) -> None:
    world = done()
    before = len(world.started)
    sweep(world, swept)
    assert world.started[before:] == [swept]


def test_job_that_serves_nothing_misses_nothing() -> None:
    world = done(serve=None)
    before = list(world.started)
    sweep(world, *STAGES)
    assert world.started == before
    assert world.condition("Ready") == ("True", "Completed")


def test_what_is_made_before_it_could_be_ended_as_unneeded_is_not_made_again() -> None:
    other = World(**ALONE).settle().finish("fetch/model", "quantize", "export")
    world = World(**ALONE).settle().finish("fetch/model").run("quantize")
    world.interrupted = True
    world.records.append(other.records[-1])
    assert world.settle().stage("quantize").reason == "NotNeeded"
    world.finish("quantize")
    world.interrupted = False
    world.edit(**{**ALONE, "adapters": [adapter("travel")]})
    assert world.stage("quantize").state == "Succeeded"
    assert world.started.count("quantize") == 1


def test_what_was_withdrawn_by_an_edit_and_then_not_needed_is_made_when_it_is() -> None:
    other = World(**ALONE).settle().finish("fetch/model", "quantize", "export")
    world = World(**ALONE).settle().finish("fetch/model").run("quantize")
    world.lingers = True
    world.edit(**{**ALONE, "quantize": {"algorithm": "rtn", "groupSize": 64}})
    world.records.append(other.records[-1])
    world.edit(**ALONE)
    assert world.stage("quantize").reason == "NotNeeded"
    world.lingers = False
    world.let_go()
    world.edit(**{**ALONE, "adapters": [adapter("travel")]})
    assert world.attempt("quantize").number == 2


def test_edit_makes_again_only_what_it_reads() -> None:
    world = done()
    sweep(world, *INTERMEDIATE)
    before = len(world.started)
    world.edit(adapters=[adapter("travel"), adapter("food")])
    assert sorted(world.started[before:]) == ["fetch/food", "fetch/model"]
    world.finish("fetch/model", "fetch/food")
    assert "quantize" in world.started[before:], "food is trained on it"
    assert "fetch/travel" not in world.started[before:]
    assert "finetune/travel" not in world.started[before:]


def test_new_gate_measures_nothing_again() -> None:
    world = done()
    sweep(world, *INTERMEDIATE)
    before = list(world.started)
    world.edit(evaluate={"gates": [{"metric": "perplexity", "max": 9}]})
    assert world.started == before


def test_another_rank_needs_the_base_and_the_data_again() -> None:
    world = done()
    sweep(world, *INTERMEDIATE)
    before = len(world.started)
    world.edit(adapters=[adapter("travel", rank=4)])
    assert sorted(world.started[before:]) == ["fetch/model", "fetch/travel"]
    assert world.stage("export").state == "Succeeded", "it is served, and there"
