"""A real Kueue decides when stages may start."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import spec
from programs import ROOT

from .kubectl import Kubectl, Manifest
from .operators import Jobs, Operator
from .planes import plane, store, with_crds
from .standin_node import StandInNode, eventually, pretty

KUEUE = "kueue.x-k8s.io/v1beta2"
DATA = {"source": "hf://datasets/someone/travel/rows.jsonl", "template": "{prompt} {response}"}


@pytest.fixture(scope="module")
def apiserver() -> Iterator[Path]:
    """One with two nodes, and Kueue."""
    with plane("kueue", "--kwok", "2", "--kueue") as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def crds(apiserver: Path) -> Kubectl:
    return with_crds(apiserver)


@pytest.fixture
def ml(crds: Kubectl, namespace: str) -> Kubectl:
    """kubectl in the jobs' namespace, where a store is."""
    found = replace(crds, namespace=namespace)
    store(found)
    return found


@pytest.fixture
def node(api: Any, namespace: str) -> Iterator[StandInNode]:
    with StandInNode(api, namespace, scheduled=True) as found:
        yield found


class Team:
    """A LocalQueue of the namespace, and a ClusterQueue behind it that nobody else uses."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl, self.name = kubectl, f"team-{uuid.uuid4().hex[:8]}"

    def queue(self, gpus: int) -> "Team":
        """With quota for so many GPUs, and enough of the rest; urgent work preempts other."""
        quota = {"cpu": "1k", "memory": "1Ti", "nvidia.com/gpu": gpus}
        resources = [{"name": n, "nominalQuota": q} for n, q in quota.items()]
        groups = {
            "coveredResources": list(quota),
            "flavors": [{"name": "default", "resources": resources}],
        }
        body: Manifest = {
            "namespaceSelector": {},
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [groups],
        }
        self._apply("ResourceFlavor", "default", {})
        self._apply("ClusterQueue", self.name, body)
        return self.local_queue()

    def local_queue(self) -> "Team":
        """Without a ClusterQueue behind it, if there is none yet."""
        self._apply("LocalQueue", self.name, {"clusterQueue": self.name})
        return self

    def _apply(self, kind: str, name: str, body: Manifest) -> None:
        meta = {"name": name}
        self._kubectl.apply({"apiVersion": KUEUE, "kind": kind, "metadata": meta, "spec": body})


@pytest.fixture
def team(ml: Kubectl) -> Team:
    return Team(ml)


@pytest.fixture
def urgent(crds: Kubectl) -> str:
    """A PriorityClass."""
    name = f"urgent-{uuid.uuid4().hex[:8]}"
    crds("create", "priorityclass", name, "--value=1000")
    return name


def queued(team: Team, data: str = "travel", **sections: Any) -> dict[str, Any]:
    """A job by way of the team's queue, which asks for a GPU only to fine-tune."""
    adapters = [{"name": "travel", "data": {**DATA, "source": f"{DATA['source']}/{data}"}}]
    model = {"source": "hf://someone/tiny"}
    wanted = {"model": model, "adapters": adapters, "serve": None, "queue": team.name, **sections}
    return spec(**wanted)


def stage(jobs: Jobs, job: str, name: str) -> dict[str, Any]:
    found = jobs.status(job).get("stages", [])
    return next((s for s in found if s["name"] == name), {})


def awaits(jobs: Jobs, job: str, name: str, reason: str) -> dict[str, Any]:
    """The stage as soon as it has this reason."""

    def has_it() -> bool:
        return bool(stage(jobs, job, name).get("reason") == reason)

    try:
        eventually(f"{reason} of {name}", has_it, seconds=60)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pretty(jobs.status(job))}") from None
    return stage(jobs, job, name)


def test_a_stage_waits_for_quota_and_runs_when_there_is_some(
    jobs: Jobs, node: StandInNode, operator: Operator, team: Team
) -> None:
    team.queue(gpus=0)
    jobs.create("travel", queued(team))
    waiting = awaits(jobs, "travel", "finetune/travel", "WaitingForQuota")
    assert waiting["state"] == "Pending"
    assert waiting["message"] == f"waiting for quota in {team.name}"
    eventually("the rest at rest", lambda: jobs.status("travel")["stage"] == "finetune/travel")
    reasons = {c["type"]: (c["status"], c["reason"]) for c in jobs.status("travel")["conditions"]}
    assert reasons["Reconciling"] == ("True", "WaitingForQuota")
    assert reasons["Stalled"][0] == "False"
    team.queue(gpus=1)
    status = jobs.await_ready("travel")
    assert {s["attempt"] for s in status["stages"]} == {1}
    assert node.ran.count("finetune/travel") == 1


def test_preempted_by_the_queue_the_same_attempt_waits_again_and_that_is_no_failure(
    jobs: Jobs, node: StandInNode, operator: Operator, team: Team, urgent: str
) -> None:
    team.queue(gpus=1)
    release = node.hold("finetune/travel")
    jobs.create("travel", queued(team))
    awaits(jobs, "travel", "finetune/travel", "Running")
    jobs.create("urgent", queued(team, "urgent", priorityClassName=urgent))
    awaits(jobs, "travel", "finetune/travel", "WaitingForQuota")
    awaits(jobs, "urgent", "finetune/travel", "Running")
    release.set()
    jobs.await_ready("urgent")
    status = jobs.await_ready("travel")
    assert node.ran.count("finetune/travel") == 3, "begun twice, and once for the urgent job"
    assert {s["attempt"] for s in status["stages"]} == {1}
    assert not any(s.get("failures") or s.get("lastFailure") for s in status["stages"])
    assert jobs.warnings("travel") == []


def test_the_priority_class_arrives_at_the_pod(
    jobs: Jobs, node: StandInNode, operator: Operator, team: Team, urgent: str
) -> None:
    team.queue(gpus=1)
    jobs.create("travel", queued(team, priorityClassName=urgent))
    jobs.await_ready("travel")
    pods = jobs.core.list_namespaced_pod(jobs.namespace).items
    assert {(pod.spec.priority_class_name, pod.spec.priority) for pod in pods} == {(urgent, 1000)}


def test_a_priority_class_that_is_not_there_is_told(
    jobs: Jobs, node: StandInNode, operator: Operator, team: Team, crds: Kubectl
) -> None:
    name = f"missing-{team.name}"
    jobs.create("travel", queued(team, queue=None, priorityClassName=name))
    refused = awaits(jobs, "travel", "fetch/model", "PodRefused")
    assert f"no PriorityClass with name {name} was found" in refused["message"]
    assert jobs.is_("travel", "Stalled")


def test_a_queue_that_is_not_there_makes_no_attempt_and_another_that_is_goes_on(
    jobs: Jobs, node: StandInNode, operator: Operator, team: Team
) -> None:
    jobs.create("travel", queued(team, queue="typo"))
    status = jobs.await_ready("travel", "Stalled")
    told = next(c for c in status["conditions"] if c["type"] == "Stalled")
    assert told["reason"] == "QueueUnavailable"
    assert told["message"] == (
        f"fetch/model: namespace {jobs.namespace} has no LocalQueue typo; "
        "create it, or name another in spec.queue"
    )
    assert jobs.attempts() == []
    team.queue(gpus=1)
    jobs.edit("travel", queued(team))
    jobs.await_ready("travel")


def test_a_queue_with_nothing_behind_it_is_told_in_kueues_words(
    jobs: Jobs, node: StandInNode, operator: Operator, team: Team, ml: Kubectl
) -> None:
    team.local_queue()
    ml("wait", f"localqueue/{team.name}", "--for=condition=Active=False", "--timeout=30s")
    jobs.create("travel", queued(team))
    told = awaits(jobs, "travel", "fetch/model", "QueueUnavailable")["message"]
    assert told.startswith(f"LocalQueue {team.name} is not active: "), told
    assert jobs.attempts() == []


def test_the_example_runs_by_way_of_its_queue(
    jobs: Jobs, node: StandInNode, operator: Operator, ml: Kubectl
) -> None:
    ml("apply", f"--filename={ROOT / 'examples' / 'queued.yaml'}")
    jobs.await_ready("phi-nightly")
    attempts = jobs.batch.list_namespaced_job(jobs.namespace).items
    assert {a.metadata.labels["kueue.x-k8s.io/queue-name"] for a in attempts} == {"team-a"}
    assert {a.spec.template.spec.priority_class_name for a in attempts} == {"batch-low"}
