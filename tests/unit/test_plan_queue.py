"""A job by way of a queue: what waits, what that is called, and what a preemption costs."""

from dataclasses import replace

import pytest
from builders.world import World

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_operator.api.status import State

GONE = "namespace ml has no LocalQueue team-a; create it, or name another in spec.queue"


def queued(queue: str | None = "") -> World:
    """A job whose LocalQueue is so."""
    world = World(queue="team-a", serve=None)
    world.seen = replace(world.seen, queue=queue)
    return world.settle()


@pytest.mark.parametrize(("queue", "reason"), [(None, "Scheduling"), (GONE, "QueueUnavailable")])
def test_no_attempt_is_made_for_a_queue_that_is_not_known_to_be_there(
    queue: str | None, reason: str
) -> None:
    world = queued(queue)
    fetch = world.stage("fetch/model")
    assert (fetch.state, fetch.reason, fetch.attempt) == (State.PENDING, reason, 0)
    assert world.seen.attempts == ()
    world.seen = replace(world.seen, queue="")
    assert world.settle().stage("fetch/model").attempt == 1


def test_only_a_queue_that_is_missing_stalls_the_job() -> None:
    def stalled(queue: str | None) -> str:
        found = queued(queue).seen.job.status.condition("Stalled")
        assert found
        return found.status

    assert [stalled(queue) for queue in (None, GONE)] == ["False", "True"]


def suspend(world: World, stage: str, suspended: bool = True) -> World:
    """The queue takes back what the attempt has, or gives it."""
    there = world.attempt(stage)
    changed = replace(there, queued=True, suspended=suspended)
    attempts = tuple(changed if a.name == there.name else a for a in world.seen.attempts)
    world.seen = replace(world.seen, attempts=attempts)
    return world.settle()


def test_a_queue_that_goes_while_an_attempt_waits_is_told() -> None:
    world = suspend(queued(), "fetch/model")
    assert world.stage("fetch/model").reason == "WaitingForQuota"
    world.seen = replace(world.seen, queue=GONE)
    assert world.settle().stage("fetch/model").message == GONE


def test_preempted_by_the_queue_the_attempt_waits_again_and_its_gpu_time_counts() -> None:
    world = queued()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.run("finetune/travel").wait(60)
    told = Report("Failed", reason=FailureClass.CANCELLED, message="told to stop")
    suspend(world, "finetune/travel")
    world.pod("finetune/travel", phase="Failed", deleting=True, output=told.to_json())
    world.wait(30)
    waiting = world.stage("finetune/travel")
    assert (waiting.state, waiting.reason) == (State.PENDING, "WaitingForQuota")
    assert (waiting.attempt, waiting.failures, waiting.lastFailure) == (1, 0, "")
    assert waiting.gpuSeconds == 60, "counted once, however long it waits"
    suspend(world, "finetune/travel", suspended=False)
    again = world.stage("finetune/travel")
    assert (again.reason, again.attempt) == ("PodNotCreated", 1), "the old pod is still there"
    world.finish("finetune/travel")
    done = world.stage("finetune/travel")
    assert (done.state, done.attempt, done.gpuSeconds) == (State.SUCCEEDED, 1, 70)
    assert not any("finetune" in told for told in world.told)


def test_evicted_in_a_queue_it_is_done_again() -> None:
    world = queued()
    world.run("fetch/model")
    suspend(world, "fetch/model", suspended=False)
    world.pod("fetch/model", phase="Failed", deleting=True)
    assert world.stage("fetch/model").attempt == 1
    world.delete_pod("fetch/model")
    assert world.stage("fetch/model").attempt == 2
