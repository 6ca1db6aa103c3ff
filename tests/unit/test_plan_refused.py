"""What the API server refuses: told of where it is this job's, not waited for if another's."""

from dataclasses import replace

from builders import CONFIG
from builders.world import World

from olive_operator.api.seen import AttemptSeen, Builder, Ref
from olive_operator.api.status import Phase, State
from olive_operator.plan import plan
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


def test_a_pod_that_is_refused_to_another_job_is_not_waited_for() -> None:
    world = World(serve=None)
    address = world.settle().attempt("fetch/model").address
    world = World(serve=None)
    theirs = AttemptSeen("food-fetch-model-1", "fetch/model", address, 1, createdAt=world.now)
    world.seen = replace(world.seen, others={address: Builder("food", theirs, refused=True)})
    assert world.settle().stage("fetch/model").attempt == 1


def told(world: World) -> tuple[str, str, str]:
    """Phase, and reason and message of Stalled, after the next pass."""
    found = plan(world.seen, CONFIG, world.now).status
    stalled = found.condition("Stalled")
    assert stalled
    assert stalled.status == "True"
    return found.phase, stalled.reason, stalled.message


def test_job_without_a_claim_tells_why_it_gets_none() -> None:
    world = World()
    refused = {Ref("PersistentVolumeClaim", "olive-store"): "exceeded quota: storage"}
    world.seen = replace(world.seen, refused=refused)
    message = "the API server refused PersistentVolumeClaim olive-store: exceeded quota: storage"
    assert told(world) == (Phase.PENDING, "Refused", message)


def test_what_is_there_already_was_not_refused() -> None:
    world = World().settle()
    refused = {Ref("PersistentVolumeClaim", "olive-store"): "exceeded quota: storage"}
    world.seen = replace(world.seen, refused=refused)
    assert plan(world.seen, CONFIG, world.now).status == world.status


def test_serving_that_is_refused_is_told_of_when_all_is_made() -> None:
    world = World(adapters=[], evaluate=None).settle()
    world.seen = replace(world.seen, refused={Ref("Service", "travel-serving"): "exceeded quota"})
    world.finish("fetch/model", "quantize", "export")
    assert world.condition("Ready") == ("False", "ServingStarting")
    world.seen = replace(
        world.seen,
        applied={ref: h for ref, h in world.seen.applied.items() if ref.kind != "Service"},
    )
    message = "the API server refused Service travel-serving: exceeded quota"
    assert told(world) == (Phase.PENDING, "Refused", message)
