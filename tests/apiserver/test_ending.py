"""A job that is deleted while its stages run: they may save what they have, and nothing remains."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from .kubectl import Kubectl
from .operators import Jobs, Operator
from .planes import plane, store, with_crds
from .standin_node import StandInNode, eventually
from .test_operator import plain

GRACE_S = 120
MODEL = {"source": "hf://someone/tiny"}
DATA = {"source": "hf://datasets/someone/travel/rows.jsonl", "template": "{prompt} {response}"}
AGAIN = {"fetch/model", "fetch/travel"}
"""Sources are looked up by each job."""


@pytest.fixture(scope="module")
def apiserver() -> Iterator[Path]:
    """With nodes: a pod that is on none is deleted without any grace."""
    with plane("kwok", "--kwok", "2") as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def crds(apiserver: Path) -> Kubectl:
    return with_crds(apiserver)


@pytest.fixture
def node(api: Any, namespace: str) -> Iterator[StandInNode]:
    with StandInNode(api, namespace, scheduled=True) as found:
        yield found


def finetune(jobs: Jobs) -> dict[str, Any]:
    stages = jobs.status("travel").get("stages", [])
    return next((s for s in stages if s["name"] == "finetune/travel"), {})


def running(jobs: Jobs) -> client.V1Pod:
    """The only pod that runs."""
    (pod,) = jobs.core.list_namespaced_pod(
        jobs.namespace, field_selector="status.phase=Running"
    ).items
    return pod


def test_job_made_anew_while_the_old_one_saves_its_checkpoint_waits_for_it_and_inherits_nothing(
    crds: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    store(replace(crds, namespace=jobs.namespace))
    release = node.hold("finetune/travel")
    wanted = plain(model=MODEL, adapters=[{"name": "travel", "data": DATA}], gpu={"count": 0})
    jobs.create("travel", wanted)
    eventually("finetune", lambda: finetune(jobs).get("reason") == "Running", seconds=60)
    eventually("it is alone", lambda: len(node.ran) == len({*node.ran}) and running(jobs))
    node.saves.clear()
    jobs.delete("travel")
    # Kubernetes' garbage collector ends it, and needs half a minute to learn of a new kind.
    eventually("it was told to stop", lambda: node.stopped == ["finetune/travel"], seconds=90)
    saving = running(jobs).metadata
    assert saving.deletion_timestamp is not None
    assert saving.deletion_grace_period_seconds == GRACE_S
    jobs.create("travel", wanted)
    eventually("the new one waits", lambda: finetune(jobs).get("reason") == "LastAttemptEnding")
    assert node.ran.count("finetune/travel") == 1
    node.saves.set()
    eventually("finetune again", lambda: node.ran.count("finetune/travel") == 2)
    release.set()
    status = jobs.await_ready("travel")
    again = {stage for stage, times in Counter(node.ran).items() if times > 1}
    assert again == {*AGAIN, "finetune/travel"}
    assert {s["name"] for s in status["stages"] if s.get("cached")} >= {"quantize", "export"}
    counts = [(s.get("attempt", 0), s.get("failures", 0)) for s in status["stages"]]
    assert max(counts) == (1, 0)
    assert saving.uid not in {
        pod.metadata.uid for pod in jobs.core.list_namespaced_pod(jobs.namespace).items
    }
