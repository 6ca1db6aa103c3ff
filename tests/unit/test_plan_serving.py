"""What goes with a serving: which children there are, who says how many pods, and when it answers.

How each child looks is in tests/golden/children.
"""

from dataclasses import replace
from typing import Any

import pytest
from builders import CONFIG, World

from olive_contract.serving import Serving
from olive_operator.build import StoreMount
from olive_operator.build.deployment import deployment as build_deployment
from olive_operator.config import ServeDefaults
from olive_operator.plan import plan

ALWAYS = {"ConfigMap", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"}
SCALED = {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}}
ROUTED = {"route": {"parentRefs": [{"name": "public"}]}}


def serving(**serve: Any) -> World:
    """A job that serves a base like this, rolled out."""
    world = World(adapters=[], evaluate=None, serve=serve).settle()
    return world.finish("fetch/model", "quantize", "export").roll_out()


def edited(world: World, **serve: Any) -> World:
    return world.edit(adapters=[], evaluate=None, serve=serve)


def children(world: World) -> set[str]:
    return {name.split("/")[0] for name in world.manifests if "travel-serving" in name}


def deployment(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.manifests["Deployment/travel-serving"]["spec"]
    return found


def pod(world: World) -> dict[str, Any]:
    found: dict[str, Any] = deployment(world)["template"]["spec"]
    return found


CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing is said": ({}, ALWAYS),
    "so many": ({"replicas": 3}, ALWAYS),
    "as many as it takes": (SCALED, ALWAYS | {"HorizontalPodAutoscaler"}),
    "a way in": (ROUTED, ALWAYS | {"HTTPRoute"}),
    "both": ({**SCALED, **ROUTED}, ALWAYS | {"HorizontalPodAutoscaler", "HTTPRoute"}),
}


@pytest.mark.parametrize("case", CASES)
def test_children_are_those_that_are_asked_for(case: str) -> None:
    serve, wanted = CASES[case]
    assert children(serving(**serve)) == wanted


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_longer_asked_for_goes(case: str) -> None:
    serve, _ = CASES[case]
    assert children(edited(serving(**serve))) == ALWAYS


@pytest.mark.parametrize("case", CASES)
def test_an_edit_brings_what_it_asks_for(case: str) -> None:
    serve, wanted = CASES[case]
    assert children(edited(serving(), **serve)) == wanted


def test_network_policies_are_the_installations_to_leave_out() -> None:
    world = serving()
    without = replace(CONFIG, serve=ServeDefaults(networkPolicy=False))
    found = plan(world.seen, without, world.now)
    assert [ref.kind for ref in found.delete] == ["NetworkPolicy"]
    assert found.apply == ()


def test_network_policy_is_there_before_the_pods() -> None:
    order = [name.split("/")[0] for name in serving().manifests if "travel-serving" in name]
    assert order.index("NetworkPolicy") < order.index("Deployment")


# How many pods


def test_number_of_pods_is_left_to_others_unless_it_is_given() -> None:
    assert "replicas" not in deployment(serving())
    assert "replicas" not in deployment(serving(**SCALED))
    assert deployment(serving(replicas=0))["replicas"] == 0


def test_number_that_others_have_said_stays_through_an_edit() -> None:
    world = serving().scale(4, ready=4)
    edited(world, page=False)
    assert world.seen.deployment
    assert world.seen.deployment.replicas == 4


def test_number_that_is_given_is_held_against_others() -> None:
    world = serving(replicas=2).scale(5, ready=5)
    assert world.seen.deployment
    assert (world.seen.deployment.replicas, world.seen.deployment.pinned) == (2, True)


@pytest.mark.parametrize(
    ("before", "handed_over"),
    [(3, 3), (1, 2), (0, 2), (9, 9)],
    ids=["as it is", "no fewer than the least", "not none, which is not scaled", "more than most"],
)
def test_autoscaler_takes_over_from_the_number_that_is_there(before: int, handed_over: int) -> None:
    world = edited(serving(replicas=before), **SCALED)
    assert deployment(world)["replicas"] == handed_over, "applied on, or it would be reset to 1"
    world.roll_out().scale(5, ready=handed_over)
    assert "replicas" not in deployment(world), "now it is the autoscaler's"
    assert world.seen.deployment
    assert world.seen.deployment.replicas == 5


def test_number_is_taken_back_from_the_autoscaler() -> None:
    world = serving(**SCALED).scale(5, ready=5)
    edited(world, replicas=1)
    assert deployment(world)["replicas"] == 1
    world.scale(5, ready=5)  # its last word, which came late
    assert world.seen.deployment
    assert world.seen.deployment.replicas == 1


# Whether it answers


def seen(world: World, **numbers: Any) -> tuple[str, str]:
    """Ready, with these numbers of the Deployment."""
    assert world.seen.deployment
    world.seen = replace(world.seen, deployment=replace(world.seen.deployment, **numbers))
    return world.settle().condition("Ready")


READY, STARTING = ("True", "Serving"), ("False", "ServingStarting")


@pytest.mark.parametrize(
    ("numbers", "ready"),
    {
        "fewer than the least": ({"replicas": 1, "total": 1, "updated": 1, "ready": 1}, STARTING),
        "the least": ({"replicas": 2, "total": 2, "updated": 2, "ready": 2}, READY),
        "more are coming": ({"replicas": 4, "total": 4, "updated": 4, "ready": 2}, READY),
        "more are to come": ({"replicas": 4, "total": 2, "updated": 2, "ready": 2}, READY),
        "some are going": ({"replicas": 2, "total": 4, "updated": 4, "ready": 4}, READY),
        "one of the least is away": (
            {"replicas": 2, "total": 2, "updated": 2, "ready": 1},
            STARTING,
        ),
        "old ones are there": ({"replicas": 2, "total": 3, "updated": 2, "ready": 3}, STARTING),
    }.values(),
)
def test_autoscaled_serving_answers_while_the_least_of_its_pods_do(
    numbers: dict[str, int], ready: tuple[str, str]
) -> None:
    assert seen(serving(**SCALED), **numbers) == ready


def test_serving_of_a_given_number_answers_when_all_of_its_pods_do() -> None:
    world = serving(replicas=2)
    assert world.condition("Ready") == READY
    assert seen(world, ready=1) == STARTING


# A route where there are none


def test_route_that_cannot_be_had_is_told_of_and_hinders_nothing() -> None:
    world, without = serving(**ROUTED), replace(CONFIG, gatewayAPI=False)
    found = plan(world.seen, without, world.now)
    stalled = found.status.condition("Stalled")
    assert stalled
    assert (stalled.status, stalled.reason) == ("True", "RouteUnavailable")
    assert "set gatewayAPI in the chart's values, or leave route out" in stalled.message
    assert found.status.phase == "Pending"
    assert found.apply == ()
    assert found.again is None
    assert found.status.serving
    assert found.status.serving.readyReplicas == 1


# What the pods are told


def test_keys_are_mounted_and_never_read() -> None:
    spec = pod(serving(apiKeys={"secretRef": "travel-keys"}))
    (container,) = spec["containers"]
    assert container["args"][-2:] == ["--api-keys", "/etc/olive-keys"]
    mount = {"name": "keys", "mountPath": "/etc/olive-keys", "readOnly": True}
    assert mount in container["volumeMounts"]
    assert {"name": "keys", "secret": {"secretName": "travel-keys"}} in spec["volumes"]


def test_without_keys_and_with_a_page() -> None:
    spec = pod(serving())
    assert spec["containers"][0]["args"] == ["--store", "/store", "--serving", FILE]
    assert "keys" not in {volume["name"] for volume in spec["volumes"]}


def test_without_a_page() -> None:
    assert pod(serving(page=False))["containers"][0]["args"][-1] == "--no-page"


# A local copy of the model

COPIED = {"localCopy": {"sizeLimit": "1500Mi"}}
ROOM = "ephemeral-storage"


def test_local_copy_has_a_disk_and_is_told_how_much_of_it() -> None:
    spec = pod(serving(**COPIED))
    (container,) = spec["containers"]
    assert container["args"][-4:] == ["--local", "/local", "--local-size-limit", "1572864000"]
    assert {"name": "local", "mountPath": "/local"} in container["volumeMounts"]
    assert {"name": "local", "emptyDir": {"sizeLimit": "1500Mi"}} in spec["volumes"]


@pytest.mark.parametrize(
    ("serve", "path"), [({}, "/readyz"), (COPIED, "/healthz")], ids=["without", "with a copy"]
)
def test_no_pod_is_restarted_for_the_time_that_it_copies(serve: dict[str, Any], path: str) -> None:
    (container,) = pod(serving(**serve))["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == path
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize(
    ("own", "requests", "limits"),
    {
        "as large as the copy": ({}, {"cpu": "4", ROOM: "1500Mi"}, None),
        "beside what the job says of others": (
            {"requests": {"cpu": 2}},
            {"cpu": 2, ROOM: "1500Mi"},
            None,
        ),
        "as the job says": (
            {"requests": {ROOM: "2Gi"}, "limits": {ROOM: "3Gi"}},
            {"cpu": "4", ROOM: "2Gi"},
            {ROOM: "3Gi"},
        ),
        "none, as the job says another limit": (
            {"limits": {ROOM: "3Gi"}},
            {"cpu": "4"},
            {ROOM: "3Gi"},
        ),
    }.values(),
)
def test_pods_with_a_local_copy_ask_for_room(
    own: dict[str, Any], requests: dict[str, Any], limits: dict[str, Any] | None
) -> None:
    world = serving(**COPIED, resources=own)
    defaults = {"requests": {"cpu": "4", ROOM: "10Mi"}, "limits": {ROOM: "1Gi"}}
    job, what = world.seen.job, Serving("ml/travel", "0" * 64)
    config = replace(CONFIG, serve=ServeDefaults(resources=defaults))
    found = build_deployment(job, what, StoreMount("olive-store"), None, config)
    resources = found["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"] == requests
    assert resources.get("limits") == limits


FILE = "/etc/olive/serving.json"
