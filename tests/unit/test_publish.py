"""Publishing: when a version goes out, what holds it back, and what a failure leaves alone."""

from dataclasses import replace
from typing import Any

import pytest
from builders import World, adapter, job_seen, spec
from builders.world import CONFIG

from olive_contract.failures import FailureClass
from olive_contract.stage import Published, Report, StageInput
from olive_operator import build, labels, records
from olive_operator.api.seen import AttemptSeen, Builder, PodSeen
from olive_operator.api.spec import Spec
from olive_operator.build import StoreMount
from olive_operator.plan.graph import graph
from olive_operator.plan.keys import addresses

BASE = ("fetch/model", "quantize", "export")
GATES = {"gates": [{"metric": "perplexity", "max": 9.5}]}
LOOSER = {"gates": [{"metric": "perplexity", "max": 12}]}
GOOD, BAD = {"perplexity": 9.1}, {"perplexity": 11.2}
HUB = {"huggingFace": {"repository": "acme/travel", "secretRef": "hub"}}
EVERYWHERE = {
    "azureML": {"registry": "models", "model": "travel"},
    **HUB,
    "oci": {"reference": "registry.example.com/models/travel:v1"},
}
VERSION = Published("hf://acme/travel@4f1c", "https://huggingface.co/acme/travel/tree/4f1c")
STAGE = "publish/huggingFace"


def trained(name: str) -> tuple[str, ...]:
    """What comes before the evaluation of one adapter."""
    kinds = ("fetch", "check", "finetune", "adapter", "reference")
    return tuple(f"{kind}/{name}" for kind in kinds)


def measured(found: dict[str, float], **sections: Any) -> World:
    """A job that publishes to a hub, and whose only adapter was measured to be so."""
    world = World(**{"publish": HUB, "evaluate": GATES, "serve": None, **sections}).settle()
    world.finish(*BASE, *trained("travel"))
    return world.finish("evaluate/travel", metrics=found)


def published(world: World) -> World:
    return world.finish(STAGE, published=VERSION)


def test_version_goes_out_once_everything_is_measured() -> None:
    world = World(publish=HUB, serve=None).settle()
    world.finish(*BASE, *trained("travel"))
    assert STAGE not in world.started
    assert world.stage(STAGE).message == "waits for evaluate/travel"
    world.finish("evaluate/travel")
    assert world.started[-1] == STAGE
    assert published(world).condition("Ready") == ("True", "Completed")
    assert world.stage(STAGE).published == VERSION


def test_version_waits_for_every_adapter() -> None:
    world = measured(GOOD, adapters=[adapter("travel"), adapter("food")])
    assert world.stage(STAGE).state == "Waiting"
    world.finish(*trained("food"))
    assert STAGE not in world.started
    world.finish("evaluate/food", metrics=GOOD)
    assert world.started[-1] == STAGE


def test_job_without_adapters_publishes_its_export() -> None:
    world = World(publish=HUB, adapters=[], evaluate=None, serve=None).settle()
    assert world.finish(*BASE).started[-1] == STAGE
    assert set(world.given(STAGE).inputs) == {"base", "model"}


def test_each_target_has_a_stage_of_its_own() -> None:
    world = measured(GOOD, publish=EVERYWHERE)
    assert world.started[-3:] == ["publish/azureML", STAGE, "publish/oci"]
    world.finish("publish/azureML", STAGE, "publish/oci")
    assert world.condition("Ready") == ("True", "Completed")


def test_version_is_told_where_it_is_from() -> None:
    bounds = {"gates": [{"metric": "perplexity", "max": 9.5}, {"metric": "f1", "min": "100m"}]}
    world = measured({"perplexity": 9.1, "f1": 0.4}, evaluate=bounds)
    given = world.given(STAGE)
    assert (given.job, given.gates) == (
        "ml/travel",
        ("perplexity at most 9.5", "f1 at least 100m"),
    )
    assert given.inputs["base"] == world.stage("export").key
    assert given.inputs["model"] == world.stage("fetch/model").key
    assert given.inputs["adapter/travel"] == world.stage("adapter/travel").key
    assert given.inputs["evaluate/travel"] == world.stage("evaluate/travel").key
    assert given.params["huggingFace"] == {
        "repository": "acme/travel",
        "private": True,
        "branch": "main",
    }, "the name of a Secret is nothing that the stage has to know"


def test_other_stages_are_told_of_no_job() -> None:
    given = World(publish=HUB).settle().given("fetch/model")
    assert (given.job, given.gates) == ("", ())


# Gates


def test_missed_gate_holds_it_back_and_says_so() -> None:
    world = measured(BAD)
    stage = world.stage(STAGE)
    assert (stage.state, stage.reason) == ("Waiting", "HeldBack")
    assert stage.message == "a gate is missed by evaluate/travel: nothing new is published"
    assert STAGE not in world.started
    assert world.condition("Stalled") == ("True", "GateFailed")
    assert world.status.phase == "Failed"


def test_one_adapter_that_misses_a_gate_holds_back_the_whole_set() -> None:
    world = measured(GOOD, adapters=[adapter("travel"), adapter("food")])
    world.finish(*trained("food")).finish("evaluate/food", metrics=BAD)
    assert STAGE not in world.started
    assert "evaluate/food" in world.stage(STAGE).message
    assert "evaluate/travel" not in world.stage(STAGE).message


def test_loosened_gate_publishes_and_runs_nothing_else() -> None:
    world = measured(BAD)
    before = len(world.started)
    world.edit(publish=HUB, evaluate=LOOSER, serve=None)
    assert world.started[before:] == [STAGE]
    assert published(world).condition("Ready") == ("True", "Completed")


def test_gate_that_is_tightened_stops_a_publication_under_way_without_a_failure() -> None:
    world = measured(GOOD).run(STAGE)
    running = world.attempt(STAGE).name
    world.edit(publish=HUB, evaluate={"gates": [{"metric": "perplexity", "max": 5}]}, serve=None)
    assert running not in [a.name for a in world.seen.attempts]
    assert (world.stage(STAGE).reason, world.stage(STAGE).failures) == ("HeldBack", 0)
    world.edit(publish=HUB, evaluate=GATES, serve=None)
    assert published(world).condition("Ready") == ("True", "Completed")


def test_missed_gate_stops_a_publication_whose_content_is_not_known_now() -> None:
    both = [adapter("travel"), adapter("food")]
    world = measured(GOOD, adapters=both).finish(*trained("food"))
    world.finish("evaluate/food", metrics=GOOD).run(STAGE)
    edited = [adapter("travel"), {**adapter("salad"), "name": "food"}]
    sections: dict[str, Any] = {"publish": HUB, "adapters": edited, "serve": None}
    world.edit(evaluate=GATES, **sections)
    assert STAGE in [a.stage for a in world.seen.attempts], "food may come out the same"
    world.edit(evaluate={"gates": [{"metric": "perplexity", "max": 5}]}, **sections)
    assert STAGE not in [a.stage for a in world.seen.attempts], "travel misses a gate anyway"


def test_gate_that_is_tightened_later_takes_nothing_back() -> None:
    world = published(measured(GOOD))
    world.edit(publish=HUB, evaluate={"gates": [{"metric": "perplexity", "max": 5}]}, serve=None)
    assert world.stage(STAGE).state == "Succeeded"
    assert world.stage(STAGE).published == VERSION
    assert world.condition("Stalled") == ("True", "GateFailed")


def test_failed_publication_stays_failed_behind_a_tightened_gate() -> None:
    world = measured(GOOD).fail(STAGE, FailureClass.AUTH_DENIED)
    world.edit(publish=HUB, evaluate={"gates": [{"metric": "perplexity", "max": 5}]}, serve=None)
    assert world.stage(STAGE).reason == "AuthDenied"
    before = len(world.started)
    world.edit(publish=HUB, evaluate=GATES, serve=None)
    assert world.started[before:] == [], "nobody has corrected the credentials"


# Changes


def test_further_adapter_publishes_anew() -> None:
    world = published(measured(GOOD))
    first = world.stage(STAGE).key
    both = [adapter("travel"), adapter("food")]
    world.edit(publish=HUB, evaluate=GATES, serve=None, adapters=both)
    before = len(world.started)
    world.finish(*trained("food")).finish("evaluate/food", metrics=GOOD)
    assert world.started[before:].count(STAGE) == 1
    assert world.stage(STAGE).published is None, "that was another set"
    assert published(world).stage(STAGE).key != first


def test_change_back_publishes_nothing_and_remembers_where_the_version_is() -> None:
    world = published(measured(GOOD))
    before = len(world.started)
    world.edit(publish=None, evaluate=GATES, serve=None)
    assert STAGE not in world.states
    world.edit(publish=HUB, evaluate=GATES, serve=None)
    stage = world.stage(STAGE)
    assert (stage.reason, stage.published) == ("Cached", VERSION)
    assert world.started[before:] == []


def test_another_target_publishes_there_and_leaves_the_first() -> None:
    world = published(measured(GOOD))
    world.edit(publish={**HUB, "oci": EVERYWHERE["oci"]}, evaluate=GATES, serve=None)
    assert world.started[-1] == "publish/oci"
    assert world.stage(STAGE).published == VERSION


def test_other_secret_is_no_other_publication() -> None:
    world = published(measured(GOOD))
    hub = {"huggingFace": {**HUB["huggingFace"], "secretRef": "rotated"}}
    before = len(world.started)
    world.edit(publish=hub, evaluate=GATES, serve=None)
    assert world.started[before:] == []


def test_publication_that_was_swept_is_not_made_again_for_its_own_sake() -> None:
    world = published(measured(GOOD))
    before = len(world.started)
    world.records = [r for r in world.records if r.key != world.stage(STAGE).key]
    assert world.settle().started[before:] == []
    assert world.stage(STAGE).published == VERSION


# Failures


def test_failed_publication_leaves_the_serving_alone_and_fails_the_job_with_its_class() -> None:
    world = published(measured(GOOD, serve={})).roll_out()
    served = world.served()
    both = [adapter("travel"), adapter("food")]
    world.edit(publish=HUB, evaluate=GATES, adapters=both)
    world.finish(*trained("food")).finish("evaluate/food", metrics=GOOD)
    world.fail(STAGE, FailureClass.AUTH_DENIED, message="the token may not write to acme/travel")
    now = world.roll_out().served()
    assert served is not None
    assert now is not None
    assert now["model"] == served["model"]
    assert [a["name"] for a in now["adapters"]] == ["travel", "food"]
    assert world.condition("Stalled") == ("True", "AuthDenied")
    assert world.status.phase == "Failed"
    assert "the token may not write to acme/travel" in world.status.conditions[2].message


def test_corrected_credentials_and_a_retry_publish() -> None:
    world = measured(GOOD).fail(STAGE, FailureClass.AUTH_DENIED)
    world.annotate_retry("1")
    assert published(world).condition("Ready") == ("True", "Completed")


def test_throttled_publication_is_tried_again() -> None:
    world = measured(GOOD).fail(STAGE, FailureClass.STAGE_ERROR, message="throttled")
    assert world.stage(STAGE).state == "Pending"
    world.until_retry(STAGE)
    assert published(world).condition("Ready") == ("True", "Completed")


def test_adapter_that_fails_leaves_nothing_to_publish() -> None:
    world = World(publish=HUB, serve=None).settle().finish(*BASE)
    world.fail("fetch/travel", FailureClass.SOURCE_NOT_FOUND)
    assert STAGE not in world.started
    assert world.condition("Stalled") == ("True", "SourceNotFound")


# Beside it


def test_serving_does_not_wait_for_the_publication() -> None:
    world = measured(GOOD, serve={})
    assert world.served() is not None
    world.run(STAGE)
    assert world.roll_out().condition("Ready") == ("False", "StagesRunning")
    assert published(world).condition("Ready") == ("True", "Serving")


def test_suspended_job_stops_publishing_and_goes_on_when_resumed() -> None:
    world = measured(GOOD).run(STAGE)
    world.edit(publish=HUB, evaluate=GATES, serve=None, suspend=True)
    assert world.stage(STAGE).reason == "Suspended"
    assert [a.stage for a in world.seen.attempts if not a.outcome] == []
    world.edit(publish=HUB, evaluate=GATES, serve=None)
    assert published(world).condition("Ready") == ("True", "Completed")
    assert world.stage(STAGE).failures == 0


def test_two_jobs_with_the_same_content_and_target_publish_once() -> None:
    world = measured(GOOD)
    theirs = AttemptSeen(
        "other-publish",
        STAGE,
        world.stage(STAGE).address,
        1,
        pod=PodSeen("other-publish-x", "n1", "Running", running=True, startedAt=world.now),
    )
    busy = {theirs.address: Builder("other", theirs)}
    world.seen = replace(world.seen, others=busy)
    world.settle()
    assert world.stage(STAGE).reason == "BuiltByAnotherJob"
    assert STAGE not in [a.stage for a in world.seen.attempts if not a.outcome]
    report = Report("Succeeded", key=theirs.address, published=VERSION)
    found = next(s for s in graph(world.seen.job.spec) if s.name == STAGE)
    made = build.artifact(world.seen.job, found, report, "olive-store", 0)
    world.records.append(records.artifact(made))
    world.seen = replace(world.seen, others={})
    world.settle()
    assert (world.stage(STAGE).reason, world.stage(STAGE).published) == ("Cached", VERSION)
    assert world.condition("Ready") == ("True", "Completed")


# Addresses and names


AZURE = {"clientID": "c" * 8, "tenantID": "t" * 8}
AT_AZURE = "azureml://registries/models/models/phi/versions/1"


def _request(**sections: Any) -> str:
    body = spec(model={"source": AT_AZURE}, **sections)
    found = addresses(graph(Spec.from_body(body)), {})["fetch/model"]
    assert found is not None
    return found.name


def test_corrected_identity_is_another_try_at_what_azure_has_refused() -> None:
    assert _request(azure=AZURE) != _request()
    assert _request(azure=AZURE) != _request(azure={**AZURE, "clientID": "d" * 8})
    assert _request(azure=AZURE) == _request(azure=dict(AZURE))


def test_identity_at_azure_is_no_part_of_other_requests() -> None:
    with_, without = (
        addresses(graph(Spec.from_body(spec(**sections))), {})["fetch/model"]
        for sections in ({"azure": AZURE}, {})
    )
    assert with_ == without


@pytest.mark.parametrize("stage", ["publish/azureML", "publish/huggingFace", "publish/oci"])
def test_attempts_have_names_that_kubernetes_takes(stage: str) -> None:
    job = job_seen(spec(publish=EVERYWHERE, adapters=[], evaluate=None))
    stages = graph(job.spec)
    known = {a.name: "1" * 64 for a in addresses(stages, {}).values() if a}
    found = addresses(stages, known)[stage]
    assert found is not None
    wanted = next(s for s in stages if s.name == stage)
    made = build.attempt(job, wanted, found, 1, StoreMount("olive-store"), CONFIG)
    name = made["metadata"]["name"]
    assert name == name.lower()
    assert name.startswith(f"travel-{stage.replace('/', '-').lower()}-")
    assert labels.ADAPTER not in made["metadata"]["labels"]
    given = made["spec"]["template"]["spec"]["containers"][0]
    assert given["image"] == "slim:1"
    assert StageInput.from_json(given["args"][0]).kind == "publish"
