"""A job that is suspended, one that goes when it has finished, and edits that are undone."""

from datetime import timedelta

from builders import World, adapter

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_operator.plan.status import events


def plain(**sections: object) -> World:
    return World(serve=None, evaluate=None, **sections).settle()


def edit(world: World, **sections: object) -> World:
    return world.edit(serve=None, evaluate=None, **sections)


def test_suspending_ends_what_runs_and_begins_nothing() -> None:
    world = plain().run("fetch/model")
    edit(world, suspend=True)
    assert world.seen.attempts == ()
    assert {s.reason for s in world.status.stages if s.name.startswith("fetch/")} == {"Suspended"}
    assert world.status.phase == "Suspended"
    assert world.condition("Reconciling")[0] == world.condition("Stalled")[0] == "False"
    assert world.wait(10**6).seen.attempts == ()


def test_what_suspending_ends_is_told_as_no_failure() -> None:
    world = plain().run("fetch/model")
    before = world.status
    assert events(before, edit(world, suspend=True).status) == []


def test_what_had_finished_unseen_when_it_was_suspended_is_not_done_again() -> None:
    world = plain().finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.run("finetune/travel").wait(60)
    world.lingers = True
    edit(world, suspend=True).finish("finetune/travel")
    assert world.stage("finetune/travel").state == "Succeeded"
    assert world.status.gpuSeconds == 60
    assert edit(world.let_go()).started.count("finetune/travel") == 1


def test_what_finishes_before_suspending_could_end_it_is_not_done_again() -> None:
    world = plain().finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.run("finetune/travel")
    world.interrupted = True
    edit(world, suspend=True).finish("finetune/travel")
    assert world.stage("finetune/travel").state == "Succeeded"
    world.interrupted = False
    assert edit(world).started.count("finetune/travel") == 1


def test_resumed_it_goes_on_with_the_next_attempt_and_no_failure() -> None:
    world = plain().run("fetch/model")
    edit(edit(world, suspend=True))
    assert world.attempt("fetch/model").number == 2
    assert world.stage("fetch/model").failures == 0
    world.finish("fetch/model", "fetch/travel", "quantize", "export", "check/travel")
    world.finish("finetune/travel", "adapter/travel")
    assert world.condition("Ready") == ("True", "Completed")


def test_gpu_time_of_what_suspending_ended_is_told() -> None:
    world = plain().finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.run("finetune/travel").wait(60)
    edit(world, suspend=True)
    assert world.status.gpuSeconds == 60


def test_what_ends_while_the_job_is_suspended_counts() -> None:
    world = plain().run("fetch/model")
    world.edit_unseen(serve=None, evaluate=None, suspend=True)
    made = Report("Succeeded", key="0" * 64).to_json()
    world.pod("fetch/model", phase="Succeeded", startedAt=world.now, output=made)
    assert world.stage("fetch/model").state == "Succeeded"
    assert world.stage("quantize").reason == "Suspended"


def test_suspending_a_job_that_is_done_changes_nothing() -> None:
    world = World().settle()
    for stage in list(world.states):
        if world.stage(stage).state != "Succeeded":
            world.finish(stage)
    served = world.roll_out().served()
    world.edit(suspend=True)
    assert world.condition("Ready") == ("True", "Serving")
    assert world.served() == served


def test_job_goes_its_time_after_it_has_finished() -> None:
    world = plain(adapters=[], ttlAfterFinished="1h").finish("fetch/model", "quantize", "export")
    assert world.last is not None
    assert not world.last.expired
    assert world.last.again == world.now + timedelta(hours=1)
    world.wait(3600)
    assert world.last.expired


def test_job_that_has_failed_goes_too_but_not_one_that_serves_or_is_at_work() -> None:
    failed = plain(adapters=[], ttlAfterFinished="1h").fail("fetch/model", FailureClass.AUTH_DENIED)
    assert failed.wait(3600).last is not None
    assert failed.last is not None
    assert failed.last.expired
    world = World(adapters=[], evaluate=None, ttlAfterFinished="1h").settle()
    world.finish("fetch/model", "quantize", "export").roll_out().wait(10**6)
    assert world.condition("Ready") == ("True", "Serving")
    assert world.last is not None
    assert not world.last.expired
    at_work = plain(ttlAfterFinished="0s").wait(10**6)
    assert at_work.last is not None
    assert not at_work.last.expired


def test_edit_ends_exactly_what_became_useless_and_finds_the_rest_again_when_it_is_undone() -> None:
    food = adapter("food")
    world = plain(adapters=[adapter("travel"), food])
    world.finish("fetch/model", "fetch/travel", "fetch/food", "quantize", "check/travel")
    world.finish("check/food").run("export").run("finetune/travel").run("finetune/food")
    before = {a.name for a in world.seen.attempts if not a.ended}
    edit(world, adapters=[adapter("travel", rank=4), food])
    ended = before - {a.name for a in world.seen.attempts}
    assert [name for name in ended if "finetune-travel" not in name] == []
    assert len(ended) == 1
    started = len(world.started)
    edit(world, adapters=[adapter("travel"), food])
    assert world.started[started:] == ["finetune/travel"], "its check is in the store"
    world.finish("export", "finetune/travel", "finetune/food")
    world.finish("adapter/travel", "adapter/food")
    assert world.condition("Ready") == ("True", "Completed")
    assert all(s.failures == 0 for s in world.status.stages)
