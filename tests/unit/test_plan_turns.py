"""A pod that its affinity keeps off: what is done when the volume is free and nobody notices."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders.world import World

from olive_operator.api.seen import KEPT_OFF, Holder
from olive_operator.api.status import State

HOLDER = Holder("food-export-1-x", "food", "stage", "cpu-1")


def kept_off(*holders: Holder, seconds: float = 60, why: str = KEPT_OFF) -> World:
    """A fetch whose pod was made so long ago and has no node, while these have the volume."""
    world = World(serve=None).settle()
    made = world.now - timedelta(seconds=seconds)
    world.seen = replace(world.seen, holders=holders)
    return world.pod("fetch/model", createdAt=made, unschedulable=f"0/2 nodes: 1 node(s) {why}")


def test_it_waits_as_long_as_another_pod_has_the_volume() -> None:
    waiting = kept_off(HOLDER).stage("fetch/model")
    assert (waiting.reason, waiting.attempt, waiting.endedAttempt) == ("VolumeBusy", 1, 0)


@pytest.mark.parametrize("component", ["stage", "serving"])
def test_it_hears_of_it_when_the_volume_is_free(component: str) -> None:
    world = kept_off(replace(HOLDER, component=component))
    assert world.last
    assert "olive-store" in world.last.waits


def test_it_is_made_anew_when_none_has_it_any_more_and_that_is_no_failure() -> None:
    world = kept_off(HOLDER)
    world.seen = replace(world.seen, holders=())
    anew = world.settle().stage("fetch/model")
    assert (anew.state, anew.attempt, anew.endedAttempt) == (State.PENDING, 2, 1)
    assert (anew.failures, anew.lastFailure) == (0, "")
    assert [a.number for a in world.seen.attempts if a.stage == "fetch/model"] == [2]


def test_a_pod_that_was_just_made_is_given_a_moment() -> None:
    world = kept_off(seconds=1)
    assert world.stage("fetch/model").attempt == 1
    assert world.last
    assert world.last.again == world.now + timedelta(seconds=4)
    assert world.wait(4).stage("fetch/model").attempt == 2


@pytest.mark.parametrize(
    "why", ["Insufficient nvidia.com/gpu", "didn't match PersistentVolume's node affinity"]
)
def test_a_pod_that_has_no_node_for_another_reason_is_left_alone(why: str) -> None:
    assert kept_off(why=why).stage("fetch/model").attempt == 1


SWEEP = Holder("olive-sweep-x", "", "sweep", "cpu-2")


def test_a_sweep_that_has_the_volume_is_waited_for_like_a_stage() -> None:
    waiting = kept_off(SWEEP).stage("fetch/model")
    assert (waiting.reason, waiting.attempt, waiting.endedAttempt) == ("VolumeBusy", 1, 0)
    assert "olive-sweep-x on cpu-2" in waiting.message


def test_no_stage_leaves_its_turn_to_a_sweep() -> None:
    world = World(serve=None)
    waits = Holder("olive-sweep-x", "", "sweep", elsewhere=True)
    world.seen = replace(world.seen, holders=(HOLDER, waits))
    assert "fetch/model" in world.settle().started
