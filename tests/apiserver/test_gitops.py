"""GitOps at a real API server: nothing differs that is applied twice, and readers agree.

``UPDATE_GOLDEN=1`` records the objects of every phase anew, below tests/gitops/recorded.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from gitops import phases
from gitops.phases import Phase
from gitops.stories import LIVED, found, is_about, plain
from gitops.verdicts import judged
from programs import ROOT

from olive_contract.failures import FailureClass
from olive_contract.stage import Report

from .jobs import FULL, job
from .kubectl import Kubectl, Manifest
from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually

NAME = "optimizationjobs.olive-operator.io"
BY_ARGO_CD = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
"""How Argo CD applies with ServerSideApply=true, and compares with ServerSideDiff=true."""
BY_PEOPLE = ("--server-side=false",)


def examples() -> Iterator[Any]:
    """Every job of the examples, and one with every field."""
    yield pytest.param(FULL, id="every field")
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            if manifest and manifest.get("kind") == "OptimizationJob":
                manifest["metadata"].pop("namespace", None)
                yield pytest.param(manifest, id=path.stem)


def differences(kubectl: Kubectl, manifest: Manifest, *how: str) -> str:
    """What applying the manifest would change."""
    done = kubectl.run("diff", "--filename=-", *how, stdin=json.dumps(manifest))
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def changes_nothing(kubectl: Kubectl, manifest: Manifest, *how: str) -> bool:
    """Whether the object is the same after it was applied once more, unless others wrote it."""
    before = kubectl("get", NAME, manifest["metadata"]["name"], "--output=json")
    after = kubectl.apply(manifest, *how)
    version = json.loads(before)["metadata"]["resourceVersion"]
    return bool(after["metadata"]["resourceVersion"] == version)


def seen(kubectl: Kubectl, manifest: Manifest) -> None:
    """As the operator does first: until then the status is a default, which a write would store."""
    patch = json.dumps({"status": {"observedGeneration": 1}})
    name = manifest["metadata"]["name"]
    kubectl("patch", NAME, name, "--subresource=status", "--type=merge", f"--patch={patch}")


@pytest.mark.parametrize("manifest", [*examples()])
def test_example_that_is_applied_twice_is_as_it_was(kubectl: Kubectl, manifest: Manifest) -> None:
    kubectl.apply(manifest, *BY_ARGO_CD)
    seen(kubectl, manifest)
    assert differences(kubectl, manifest, *BY_ARGO_CD) == ""
    assert changes_nothing(kubectl, manifest, *BY_ARGO_CD)


def test_people_who_apply_every_field_twice_change_nothing(kubectl: Kubectl) -> None:
    kubectl.apply(FULL, *BY_PEOPLE)
    seen(kubectl, FULL)
    assert differences(kubectl, FULL, *BY_PEOPLE) == ""
    assert changes_nothing(kubectl, FULL, *BY_PEOPLE)


def test_crds_that_are_applied_twice_are_as_they_were(crds: Kubectl) -> None:
    for path in (ROOT / "crds").glob("*.yaml"):
        manifest = yaml.safe_load(path.read_text())
        crds.apply(manifest, *BY_ARGO_CD)
        assert differences(crds, manifest, *BY_ARGO_CD) == ""


@pytest.fixture
def git(crds: Kubectl, namespace: str) -> Kubectl:
    """kubectl in the namespace of the operator's jobs."""
    return Kubectl(crds.program, crds.kubeconfig, namespace)


@pytest.mark.parametrize("phase", phases.ALL, ids=lambda p: p.name)
def test_readers_agree_about_a_live_object(
    git: Kubectl, api: Any, jobs: Jobs, operator: Operator, phase: Phase
) -> None:
    # Nothing schedules pods here: a node that waits for that leaves them pending.
    with StandInNode(api, jobs.namespace, scheduled=phase.name == "pending") as node:
        obj = LIVED[phase.name](jobs, node, operator)
        phases.record(phase, obj)
        assert is_met(git, "condition=Ready") == phase.ready
        # A path is read as it stands, whatever generation it is about.
        path = "jsonpath={.status.phase}=Ready"
        assert is_met(git, path) == (phase.ready or phase.name == "edited")
        found = judged(obj)
        assert (found.health, found.kstatus) == (phase.health, phase.kstatus)
        for hold in node.held.values():
            hold.set()


def is_met(kubectl: Kubectl, what: str) -> bool:
    """Whether `kubectl wait` has nothing to wait for."""
    done = kubectl.run("wait", f"{NAME}/travel", f"--for={what}", "--timeout=0")
    assert done.returncode == 0 or "not met" in done.stderr, done.stderr
    return done.returncode == 0


def test_every_phase_is_lived() -> None:
    assert LIVED.keys() == {phase.name for phase in phases.ALL}


def acted(kubectl: Kubectl, jobs: Jobs, name: str) -> None:
    """What Argo CD does when a person chooses an action: a merge patch by its API server."""
    found = judged(jobs.get("travel"))
    assert name in found.offered
    patch = json.dumps(found.patches[name])
    manager = "--field-manager=argocd-server"
    kubectl("patch", NAME, "travel", "--type=merge", f"--patch={patch}", manager)


def test_actions_work_and_git_does_not_take_them_back(
    git: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    manifest = job("travel", **plain(retry={"limit": 0}))
    release = node.hold("quantize")
    git.apply(manifest, *BY_ARGO_CD)

    def nothing_differs() -> None:
        assert differences(git, manifest, *BY_ARGO_CD) == ""
        eventually("no change", lambda: changes_nothing(git, manifest, *BY_ARGO_CD))

    eventually("quantize started", lambda: "quantize" in node.ran)
    nothing_differs()
    acted(git, jobs, "suspend")
    found(jobs, "it is suspended", is_about("Suspended"))
    nothing_differs()
    release.set()
    node.failing["quantize"] = [
        Report("Failed", reason=FailureClass.STAGE_ERROR, message="it broke")
    ]
    acted(git, jobs, "resume")
    found(jobs, "it has failed", is_about("StageError"))
    nothing_differs()
    acted(git, jobs, "retry")
    found(jobs, "it is done", is_about("Completed"))
    nothing_differs()
    assert judged(jobs.get("travel")).health == "Healthy"


def test_git_that_names_suspend_decides_it(kubectl: Kubectl) -> None:
    manifest = job("travel", suspend=False)
    kubectl.apply(manifest, *BY_ARGO_CD)
    patch = '--patch={"spec": {"suspend": true}}'
    manager = "--field-manager=argocd-server"
    kubectl("patch", NAME, "travel", "--type=merge", patch, manager)
    assert "suspend" in differences(kubectl, manifest, *BY_ARGO_CD)
    assert kubectl.apply(manifest, *BY_ARGO_CD)["spec"]["suspend"] is False
