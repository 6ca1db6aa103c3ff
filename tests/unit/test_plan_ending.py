"""A pod that outlasts its attempt may still be writing: no other begins where it works."""

from dataclasses import replace

import pytest
from builders.world import World

from olive_operator.api.seen import AttemptSeen, Builder, PodSeen
from olive_operator.api.status import State


def outlasts(world: World, stage: str, job: str) -> Builder:
    """The pod of an attempt at what this stage is to make; the attempt is gone."""
    pod = PodSeen("an-old-one", phase="Running", deleting=True, running=True, startedAt=world.now)
    address = world.attempt(stage).address
    return Builder(job, AttemptSeen(pod.name, "", address, 0, pod=pod), ending=True)


@pytest.mark.parametrize("job", ["food", "travel"], ids=["another job's", "a former self's"])
def test_nothing_is_begun_until_it_is_gone(job: str) -> None:
    old = outlasts(World(serve=None).settle(), "fetch/model", job)
    world = World(serve=None)
    world.seen = replace(world.seen, others={old.attempt.address: old})
    world.settle()
    assert world.stage("fetch/model").state == State.PENDING
    assert world.started == ["fetch/travel"]
    world.seen = replace(world.seen, others={})
    assert "fetch/model" in world.settle().started


def test_attempt_that_is_under_way_goes_on() -> None:
    world = World(serve=None).settle()
    old = outlasts(world, "fetch/model", "food")
    world.run("fetch/model")
    world.seen = replace(world.seen, others={old.attempt.address: old})
    world.settle()
    assert world.stage("fetch/model").state == State.RUNNING
    assert world.stage("fetch/model").attempt == 1
