"""Claims that one node mounts at a time, with a real scheduler: who waits for whom, and is told so.

There are two nodes, one with GPUs and one for everything else, as taints have it.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import spec
from kubernetes import client, watch
from urllib3.exceptions import HTTPError

from .kubectl import Kubectl
from .operators import Jobs, Operator
from .planes import plane, store, with_crds
from .standin_node import StandInNode, eventually, pretty

GPU_NODE, CPU_NODE = "node-000", "node-001"
DATA = {"source": "hf://datasets/someone/travel/rows.jsonl", "template": "{prompt} {response}"}


@pytest.fixture(scope="module")
def apiserver() -> Iterator[Path]:
    with plane("kwok", "--kwok", "2") as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def crds(apiserver: Path) -> Kubectl:
    kubectl = with_crds(apiserver)
    kubectl("taint", "nodes", GPU_NODE, "nvidia.com/gpu=:NoSchedule", "--overwrite")
    none = '{"status": {"%s": {"nvidia.com/gpu": "0"}}}'
    for what in ("capacity", "allocatable"):
        patch = f"--patch={none % what}"
        kubectl("patch", "node", CPU_NODE, "--subresource=status", "--type=merge", patch)
    return kubectl


@pytest.fixture
def ml(crds: Kubectl, namespace: str) -> Kubectl:
    return replace(crds, namespace=namespace)


@pytest.fixture
def node(api: Any, namespace: str) -> Iterator[StandInNode]:
    with StandInNode(api, namespace, scheduled=True) as found:
        yield found


class Places:
    """Follows where the pods of a namespace are; ``together``: every set of nodes at one time."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._core, self._namespace = client.CoreV1Api(api), namespace
        self._watch = watch.Watch()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.together: set[frozenset[str]] = set()

    def __enter__(self) -> "Places":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.stop()

    def _run(self) -> None:
        at: dict[str, str] = {}
        events = self._watch.stream(self._core.list_namespaced_pod, self._namespace)
        with suppress(HTTPError):  # a stream that is stopped
            for event in events:
                pod = event["object"]
                over = event["type"] == "DELETED" or pod.status.phase in ("Succeeded", "Failed")
                at[pod.metadata.name] = "" if over else pod.spec.node_name or ""
                self.together.add(frozenset(at.values()) - {""})


@pytest.fixture
def places(api: Any, namespace: str) -> Iterator[Places]:
    with Places(api, namespace) as found:
        yield found


def trains(rank: int = 8, **sections: Any) -> dict[str, Any]:
    """A job that fine-tunes on the node with GPUs, and does the rest on the other."""
    lora = {"rank": rank}
    wanted = {
        "model": {"source": "hf://someone/tiny"},
        "adapters": [{"name": "travel", "data": DATA, "lora": lora}],
        "gpu": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
        "serve": None,
        **sections,
    }
    return spec(**wanted)


def stage(jobs: Jobs, name: str) -> dict[str, Any]:
    found = jobs.status("travel").get("stages", [])
    return next((s for s in found if s["name"] == name), {})


def awaits(jobs: Jobs, name: str, reason: str) -> dict[str, Any]:
    """The stage as soon as it has this reason."""
    try:
        eventually(f"{reason} of {name}", lambda: stage(jobs, name).get("reason") == reason)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pretty(jobs.status('travel'))}") from None
    return stage(jobs, name)


def test_stages_are_on_one_node_at_a_time_and_each_has_its_turn(
    ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator, places: Places
) -> None:
    store(ml, "ReadWriteOnce")
    release = node.hold("reference/travel")
    jobs.create("travel", trains())
    waiting = awaits(jobs, "finetune/travel", "VolumeBusy")
    assert waiting["state"] == "Pending"
    assert re.fullmatch(
        rf'claim "olive-store" is ReadWriteOnce and in use by (travel-\S+ on {CPU_NODE}(, )?)+; '
        "this pod needs another node and starts when that is over",
        waiting["message"],
    )
    release.set()
    status = jobs.await_ready("travel")
    where = {s["name"]: s["node"] for s in status["stages"]}
    assert where.pop("finetune/travel") == GPU_NODE
    assert set(where.values()) == {CPU_NODE}
    assert not any(s.get("failures") for s in status["stages"])
    assert sorted(node.ran) == sorted(where | {"finetune/travel": GPU_NODE})
    assert places.together == {frozenset(), frozenset({CPU_NODE}), frozenset({GPU_NODE})}


def test_who_needs_another_node_has_its_turn_before_new_stages_keep_the_old_one_busy(
    ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    store(ml, "ReadWriteOnce")
    release = node.hold("reference/travel")
    jobs.create("travel", trains())
    awaits(jobs, "finetune/travel", "VolumeBusy")
    other = {"name": "other", "data": {**DATA, "source": f"{DATA['source']}/other"}}
    jobs.create("other", trains(adapters=[other], quantize=None, evaluate=None))

    def fetch() -> dict[str, Any]:
        found = jobs.status("other").get("stages", [])
        return next((s for s in found if s["name"] == "fetch/other"), {})

    eventually("the other job held back", lambda: fetch().get("reason") == "VolumeBusy")
    assert "of job travel needs the volume on another node" in fetch()["message"]
    assert fetch().get("attempt", 0) == 0
    release.set()
    jobs.await_ready("travel")
    jobs.await_ready("other")
    order = node.ran
    assert order.index("finetune/travel") < order.index("fetch/other")


def test_a_serving_holds_the_volume_until_it_lets_go(
    ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator, places: Places
) -> None:
    store(ml, "ReadWriteOnce")
    jobs.create("travel", trains(serve={}))

    def serving() -> list[str]:
        selector = "app.kubernetes.io/component=serving"
        found = jobs.core.list_namespaced_pod(jobs.namespace, label_selector=selector).items
        return [pod.metadata.name for pod in found if pod.status.phase == "Running"]

    eventually("a serving pod", serving, seconds=60)
    jobs.edit("travel", trains(rank=4, serve={}))
    held = awaits(jobs, "finetune/travel", "VolumeHeld")
    assert held["message"].startswith(
        f'claim "olive-store" is ReadWriteOnce and in use by {serving()[0]} on {CPU_NODE}'
    )
    jobs.await_ready("travel", "Stalled")
    jobs.edit("travel", trains(rank=4, serve={"replicas": 0}))
    jobs.await_ready("travel")
    assert stage(jobs, "finetune/travel")["node"] == GPU_NODE
    assert max(len(nodes) for nodes in places.together) == 1


def test_what_all_nodes_can_mount_is_used_on_all(
    ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator, places: Places
) -> None:
    store(ml, "ReadWriteMany")
    held = [node.hold("export"), node.hold("finetune/travel")]
    jobs.create("travel", trains())
    awaits(jobs, "export", "Running")
    awaits(jobs, "finetune/travel", "Running")
    for release in held:
        release.set()
    jobs.await_ready("travel")
    assert frozenset({CPU_NODE, GPU_NODE}) in places.together
