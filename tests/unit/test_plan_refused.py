"""Another job's attempt whose pod is not made: waited for a moment, and not for ever."""

from dataclasses import replace

from builders.world import World

from olive_operator.api.seen import AttemptSeen, Builder
from olive_operator.api.status import State
from olive_operator.plan.sharing import PATIENCE


def test_a_pod_that_does_not_come_is_waited_for_no_longer_than_it_takes() -> None:
    world = World(serve=None)
    address = world.settle().attempt("fetch/model").address
    world = World(serve=None)
    theirs = AttemptSeen("food-fetch-model-1", "fetch/model", address, 1, createdAt=world.now)
    world.seen = replace(world.seen, others={address: Builder("food", theirs)})
    world.settle()
    assert world.stage("fetch/model").reason == "BuiltByAnotherJob"
    assert world.last
    assert world.last.again == world.now + PATIENCE
    world.wait(PATIENCE.total_seconds())
    assert (world.stage("fetch/model").state, world.stage("fetch/model").attempt) == (
        State.PENDING,
        1,
    )
