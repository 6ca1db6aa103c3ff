"""The operator dies at every transition, and nothing is lost or done twice.

Operators of few effects each: whatever is done, some operator has died right after it, with the API
server's answer heard or not.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import adapter, spec
from builders.objects import OF_SERVINGS
from kubernetes import client

from olive_contract.serial import decode
from olive_operator.config import Config

from .mortal import lives
from .operators import CONFIG, Jobs, Operator
from .standin_node import StandInNode, eventually, pretty
from .test_operator import DONE, STAGES, plain

KINDS_OF_EFFECTS = {
    *("create PersistentVolumeClaim", "create Artifact", "write the status"),
    *("create Job", "delete Job"),
    *(f"{does} {kind}" for does in ("apply", "delete") for kind in OF_SERVINGS),
} - {"apply HTTPRoute", "delete HTTPRoute"}
SCALED = {"autoscaling": {"maxReplicas": 2}}


def tell(jobs: Jobs, node: StandInNode) -> None:
    """A job is made and served, edited while a stage runs, and served no more."""

    def comes(what: str, condition: Callable[[], bool]) -> None:
        try:
            eventually(what, condition, 120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{node.ran}\n{pretty(jobs.status('travel'))}") from None

    release = node.hold("finetune/travel")
    jobs.create("travel", spec(serve=SCALED))
    comes("finetune", lambda: "finetune/travel" in node.ran)
    jobs.edit("travel", spec(serve=SCALED, adapters=[adapter("travel", rank=4)]))
    release.set()
    comes("every stage done", lambda: jobs.status("travel").get("progress") == DONE)
    comes("the serving's children", lambda: len(children(jobs)) == 6)
    jobs.edit("travel", plain(adapters=[adapter("travel", rank=4)]))
    comes("Ready", lambda: jobs.is_("travel", "Ready"))
    comes("none of them", lambda: children(jobs) == [])


def children(jobs: Jobs) -> list[str]:
    """What the serving consists of."""
    api = jobs.apps.api_client
    lists = (
        jobs.apps.list_namespaced_deployment,
        jobs.core.list_namespaced_service,
        jobs.core.list_namespaced_config_map,
        client.PolicyV1Api(api).list_namespaced_pod_disruption_budget,
        client.AutoscalingV2Api(api).list_namespaced_horizontal_pod_autoscaler,
        client.NetworkingV1Api(api).list_namespaced_network_policy,
    )
    ours = "app.kubernetes.io/managed-by=olive-operator"
    found = [o for all_of in lists for o in all_of(jobs.namespace, label_selector=ours).items]
    return [o.metadata.name for o in found if not o.metadata.deletion_timestamp]


def did_all_of_it_once(jobs: Jobs, node: StandInNode) -> None:
    ran = Counter(node.ran)
    assert set(ran) == STAGES
    assert {stage for stage, count in ran.items() if count > 1} == {
        "check/travel",
        "finetune/travel",
    }
    assert max(ran.values()) == 2, "once for each rank"
    for stage in jobs.status("travel")["stages"]:
        assert (stage["attempt"], stage.get("failures", 0)) == (1, 0), stage
    made = Counter(a["spec"]["stage"] for a in jobs.artifacts())
    assert made == Counter(STAGES) + Counter(["check/travel"]), "the edit came after the check"


async def lived(apiserver: Path, jobs: Jobs, node: StandInNode, effects: int, heard: bool) -> Any:
    """The story under operators of so many effects each; what each did last."""
    config = decode(Config, {k: v for k, v in CONFIG.items() if k != "lease"})
    async with lives(apiserver, jobs.namespace, config, effects, heard) as last:
        await asyncio.to_thread(tell, jobs, node)
    return last


@pytest.mark.parametrize("heard", [True, False], ids=["its answer heard", "its answer not heard"])
async def test_operator_may_die_after_any_effect(
    heard: bool, apiserver: Path, jobs: Jobs, node: StandInNode
) -> None:
    last = await lived(apiserver, jobs, node, 1, heard)
    did_all_of_it_once(jobs, node)
    assert set(last) - {"create Event"} == KINDS_OF_EFFECTS


@pytest.mark.parametrize(("effects", "heard"), [(2, False), (3, True), (5, False)])
async def test_operator_may_die_in_the_midst_of_what_goes_side_by_side(
    effects: int, heard: bool, apiserver: Path, jobs: Jobs, node: StandInNode
) -> None:
    last = await lived(apiserver, jobs, node, effects, heard)
    did_all_of_it_once(jobs, node)
    assert sum(last.values()) > 5


def test_process_that_is_killed_again_and_again_loses_nothing(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    held = {
        s: node.hold(s) for s in ("fetch/model", "quantize", "finetune/travel", "evaluate/travel")
    }
    jobs.create("travel", plain())
    for stage, release in held.items():
        eventually(f"{stage} started", lambda stage=stage: stage in node.ran)
        operator.stop(signal.SIGKILL)
        release.set()
        operator.start()
    jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
