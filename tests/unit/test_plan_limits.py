"""How long an attempt may run, be silent, and wait for its image, by the operator's own clock."""

from typing import Any

import pytest
from builders import NOON, World

from olive_contract.stage import Progress
from olive_operator.plan.limits import BEGINS_WITHIN, STALLED_AFTER


def fetching(**sections: object) -> World:
    return World(serve=None, **sections).settle()


def under_way(world: World) -> list[str]:
    return [a.name for a in world.seen.attempts if a.stage == "fetch/model"]


def test_attempt_that_runs_for_too_long_is_ended_and_tried_once_more() -> None:
    world = fetching(timeouts={"fetch": "10m"}).run("fetch/model")
    world.wait(599)
    assert world.stage("fetch/model").state == "Running"
    assert world.last is not None
    assert world.last.again is not None
    first = world.attempt("fetch/model").name
    world.wait(1)
    assert world.stage("fetch/model").reason == "Timeout"
    assert "it ran for 10m" in world.stage("fetch/model").message
    assert "spec.timeouts.fetch" in world.stage("fetch/model").message
    assert first not in under_way(world), "it does not go on for nothing"
    world.until_retry("fetch/model")
    world.run("fetch/model").wait(600)
    assert world.stage("fetch/model").state == "Failed"
    assert world.condition("Stalled")[1] != "Timeout", "the other fetch is still to come"


@pytest.mark.parametrize("limit", [0, 3], ids=["for good", "once more"])
def test_what_has_finished_before_its_time_could_be_called_out_counts(limit: int) -> None:
    world = fetching(timeouts={"fetch": "10m"}, retry={"limit": limit}).run("fetch/model")
    world.interrupted = True
    world.wait(600)
    assert world.stage("fetch/model").reason == "Timeout"
    assert world.stage("fetch/model").state == ("Pending" if limit else "Failed")
    world.finish("fetch/model")
    assert world.stage("fetch/model").state == "Succeeded"
    world.interrupted = False
    assert world.wait(10**6).started.count("fetch/model") == 1


def test_limit_that_is_raised_holds_for_the_pod_that_runs() -> None:
    world = fetching(timeouts={"fetch": "10m"}).run("fetch/model").wait(599)
    world.edit(serve=None, timeouts={"fetch": "2h"}).wait(3600)
    assert world.stage("fetch/model").state == "Running"
    assert world.stage("fetch/model").failures == 0


def test_limit_that_is_lowered_ends_what_ran_longer_already() -> None:
    world = fetching().run("fetch/model").wait(3600)
    world.edit(serve=None, timeouts={"fetch": "10m"})
    assert world.stage("fetch/model").reason == "Timeout"


def test_clock_of_a_node_that_is_wrong_ends_nothing_early() -> None:
    world = fetching(timeouts={"fetch": "10m"})
    created, name = world.now, f"{world.attempt('fetch/model').name}-x"
    long_ago = created.replace(year=2020)
    world.pod("fetch/model", phase="Running", running=True, createdAt=created, startedAt=long_ago)
    assert world.stage("fetch/model").state == "Running", name


def test_stage_that_says_nothing_new_makes_its_job_stalled_and_goes_on() -> None:
    world = fetching(progressDeadline="5m").finish("fetch/travel").run("fetch/model")
    world.says("fetch/model", Progress(10)).wait(299)
    assert world.condition("Stalled")[0] == "False"
    world.wait(1)
    assert world.stage("fetch/model").reason == "NoProgress"
    assert "read the log of pod" in world.stage("fetch/model").message
    assert world.condition("Stalled") == ("True", "NoProgress")
    assert under_way(world) == [world.attempt("fetch/model").name], "nobody ends it"
    world.says("fetch/model", Progress(11))
    assert world.condition("Stalled")[0] == "False"
    assert world.finish("fetch/model").stage("fetch/model").state == "Succeeded"


def test_silence_may_be_allowed_for_ever() -> None:
    world = fetching(progressDeadline="0s", timeouts={"fetch": "9999d"}).run("fetch/model")
    world.wait(86400 * 30)
    assert world.condition("Stalled")[0] == "False"


def test_image_that_is_not_there_is_waited_for_as_long_as_it_may_come() -> None:
    world = fetching()
    created = world.now
    world.pod("fetch/model", waiting="ImagePullBackOff", createdAt=created)
    assert world.condition("Stalled") == ("True", "ImagePull")
    assert world.stage("fetch/model").failures == 0
    world.wait(299)
    assert world.stage("fetch/model").attempt == 1
    world.wait(1)
    assert world.stage("fetch/model").failures == 1
    assert 48 <= world.until_retry("fetch/model") <= 72


@pytest.mark.parametrize("waiting", ["InvalidImageName", "ErrImageNeverPull"])
def test_image_that_can_never_come_is_not_waited_for(waiting: str) -> None:
    world = fetching().pod("fetch/model", waiting=waiting, createdAt=NOON)
    assert world.stage("fetch/model").failures == 1


def test_image_is_waited_for_from_when_the_pod_has_a_node() -> None:
    world = fetching().wait(7200)
    made: dict[str, Any] = {"createdAt": NOON, "node": "n1", "placedAt": world.now}
    world.pod("fetch/model", waiting="ErrImagePull", **made).wait(299)
    assert world.stage("fetch/model").failures == 0
    assert world.wait(1).stage("fetch/model").failures == 1


def placed(**fields: Any) -> World:
    """The pod waited two hours for its node; it does not begin there."""
    world = fetching().wait(7200)
    made = {"createdAt": NOON, "placedAt": world.now, "node": "n1"}
    return world.pod("fetch/model", **made, **fields)


@pytest.mark.parametrize("waiting", ["ContainerCreating", "PodInitializing", ""])
def test_pod_that_does_not_begin_on_its_node_makes_its_job_stalled_and_is_then_ended(
    waiting: str,
) -> None:
    world = placed(waiting=waiting)
    assert world.stage("fetch/model").reason == (waiting or "ContainerCreating")
    assert world.condition("Stalled")[0] == "False"
    assert world.last is not None
    assert world.last.again == world.now + STALLED_AFTER
    world.wait(STALLED_AFTER.total_seconds())
    assert world.condition("Stalled") == ("True", "NotBegun")
    assert "on node n1" in world.stage("fetch/model").message
    assert "kubectl get events" in world.stage("fetch/model").message
    first = world.attempt("fetch/model").name
    assert first in under_way(world), "somebody can look at it"
    assert world.last.again == NOON.replace(hour=14) + BEGINS_WITHIN
    world.wait((BEGINS_WITHIN - STALLED_AFTER).total_seconds())
    assert (world.stage("fetch/model").reason, world.stage("fetch/model").failures) == (
        "Timeout",
        1,
    )
    assert "has not begun" in world.stage("fetch/model").message
    assert first not in under_way(world)
    world.until_retry("fetch/model")
    world.pod("fetch/model", waiting=waiting, createdAt=world.now, node="n2").wait(
        BEGINS_WITHIN.total_seconds()
    )
    assert world.stage("fetch/model").state == "Failed", "not for ever"


def test_pod_that_begins_late_goes_on() -> None:
    world = placed(waiting="ContainerCreating").wait(STALLED_AFTER.total_seconds())
    world.run("fetch/model")
    assert world.condition("Stalled")[0] == "False"
    assert world.finish("fetch/model").stage("fetch/model").state == "Succeeded"


@pytest.mark.parametrize(
    "fields",
    [
        {"unschedulable": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."},
        {"node": "n1", "waiting": "CreateContainerConfigError", "waitingMessage": "x"},
    ],
    ids=["it has no node", "a person has to bring something"],
)
def test_pod_that_waits_for_what_will_come_is_left_alone(fields: dict[str, str]) -> None:
    world = fetching().pod("fetch/model", createdAt=NOON, **fields).wait(86400 * 30)
    assert world.stage("fetch/model").attempt == 1
    assert world.stage("fetch/model").failures == 0
