"""Two stages of one job that make the same artifact: one of them makes it for all."""

from typing import Any

import pytest
from builders import World, adapter

from olive_contract.failures import FailureClass


def like(name: str, other: str = "a") -> dict[str, Any]:
    """An adapter of another name on the same data."""
    return {**adapter(other), "name": name}


A, B = like("a"), like("b")


def job(*adapters: dict[str, Any], **sections: Any) -> World:
    return World(serve=None, evaluate=None, adapters=list(adapters), **sections).settle()


def edit(world: World, *adapters: dict[str, Any]) -> World:
    return world.edit(serve=None, evaluate=None, adapters=list(adapters))


def tries(world: World) -> list[str]:
    return [stage for stage in world.started if stage in ("fetch/a", "fetch/b", "fetch/c")]


def test_one_of_them_makes_it() -> None:
    world = job(A, B)
    assert tries(world) == ["fetch/a"]
    assert world.stage("fetch/b").reason == "BuiltByAnotherStage"
    world.finish("fetch/a")
    assert world.states["fetch/b"] == "Succeeded"
    world.finish("fetch/model", "quantize", "export", "check/a", "finetune/a", "adapter/a")
    assert world.condition("Ready") == ("True", "Completed")


def test_when_it_fails_all_wait_for_the_one_next_try() -> None:
    world = job(A, B, like("c"))
    world.fail("fetch/a", FailureClass.STAGE_ERROR)
    assert tries(world) == ["fetch/a"]
    a, b = world.stage("fetch/a"), world.stage("fetch/b")
    assert (b.state, b.reason, b.retryAt, b.failures) == ("Pending", a.reason, a.retryAt, 1)
    world.until_retry("fetch/a")
    assert tries(world) == ["fetch/a", "fetch/a"]
    assert world.stage("fetch/b").reason == "BuiltByAnotherStage"


@pytest.mark.parametrize("failure", [FailureClass.SOURCE_NOT_FOUND, FailureClass.STAGE_ERROR])
def test_when_it_fails_for_good_all_have_failed(failure: FailureClass) -> None:
    world = job(A, B, retry={"limit": 0}).fail("fetch/a", failure)
    assert tries(world) == ["fetch/a"]
    assert world.states["fetch/b"] == "Failed"
    world.finish("fetch/model", "quantize", "export")
    assert world.status.phase == "Failed"
    assert "fetch/b: it broke" in world.status.conditions[0].message
    world.annotate_retry("again")
    assert tries(world) == ["fetch/a", "fetch/a"]


def test_whoever_is_left_of_them_has_failed_as_often() -> None:
    world = job(A, B).fail("fetch/a", FailureClass.STAGE_ERROR)
    edit(world, B)
    assert tries(world) == ["fetch/a"]
    assert world.stage("fetch/b").failures == 1
    world.until_retry("fetch/b")
    assert tries(world) == ["fetch/a", "fetch/b"]


def test_one_that_is_added_before_the_others_does_not_begin_anew() -> None:
    world = edit(job(B).fail("fetch/b", FailureClass.SOURCE_NOT_FOUND), A, B)
    assert tries(world) == ["fetch/b"]
    assert world.states["fetch/a"] == "Failed"


def test_what_runs_is_left_alone_when_one_is_added_before_it() -> None:
    world = edit(job(B).run("fetch/b"), A, B)
    assert tries(world) == ["fetch/b"]
    assert world.stage("fetch/b").state == "Running"
    assert world.stage("fetch/a").message.startswith("fetch/b makes the same artifact")


def test_one_that_is_renamed_begins_when_the_pod_of_the_other_name_is_gone() -> None:
    world = job(A).run("fetch/a")
    world.lingers = True
    edit(world, B)
    assert tries(world) == ["fetch/a"]
    assert world.stage("fetch/b").reason == "LastAttemptEnding"
    world.let_go()
    assert tries(world) == ["fetch/a", "fetch/b"]
