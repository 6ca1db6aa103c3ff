"""The chart, installed by helm: what the API server takes, and what the operator then may do."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from programs import ROOT, hack

from .kubectl import Kubectl

CHART = str(ROOT / "charts" / "olive-operator")
ACCOUNT = "system:serviceaccount:{}:olive-olive-operator"

Helm = Callable[..., str]


@pytest.fixture(scope="module")
def helm(apiserver: Any) -> Helm:
    program = hack("cluster", "tool", "helm")

    def run(*arguments: str) -> str:
        command = [program, f"--kubeconfig={apiserver}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def release(kubectl: Kubectl, helm: Helm) -> Iterator[tuple[Kubectl, str]]:
    """The chart, for one namespace only, in one that enforces Pod Security "restricted"."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("label", "namespace", kubectl.namespace, label)
    where = f"--namespace={kubectl.namespace}"
    jobs = f"namespaces={{{kubectl.namespace}}}"
    # The CRDs are there already, and aggregated roles would be the cluster's.
    without = "crds.install=false,rbac.aggregate=false"
    notes = helm("install", "olive", CHART, where, "--set", without, "--set", jobs)
    yield kubectl, notes
    helm("uninstall", "olive", where)


def test_restricted_namespace_takes_the_operators_pod(release: tuple[Kubectl, str]) -> None:
    kubectl, _ = release
    created = "--for=jsonpath={.status.replicas}=2"
    kubectl("wait", created, "--timeout=60s", "deployment/olive-olive-operator")
    pods = kubectl("get", "pods", "--selector=app.kubernetes.io/instance=olive", "--output=name")
    assert len(pods.splitlines()) == 2


def test_job_of_the_notes_is_accepted(release: tuple[Kubectl, str]) -> None:
    kubectl, notes = release
    block = notes[notes.index("apiVersion:") : notes.index("3. Apply it")]
    assert kubectl.dry_run(yaml.safe_load("     " + block))


MAY = [
    ("list", "optimizationjobs.olive-operator.io"),
    ("watch", "optimizationjobs.olive-operator.io"),
    ("update", "optimizationjobs.olive-operator.io/status"),
    ("delete", "optimizationjobs.olive-operator.io"),
    ("create", "artifacts.olive-operator.io"),
    ("create", "jobs.batch"),
    ("patch", "deployments.apps"),
    ("get", "pods/log"),
    ("create", "persistentvolumeclaims"),
    ("create", "events"),
    ("create", "leases.coordination.k8s.io"),
]
MAY_NOT = [
    ("patch", "optimizationjobs.olive-operator.io"),
    ("update", "leases.coordination.k8s.io"),
    ("get", "secrets"),
    ("list", "secrets"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("delete", "persistentvolumeclaims"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("list", "nodes"),
]


def test_operator_may_work_in_its_namespaces_and_nowhere_else(
    release: tuple[Kubectl, str],
) -> None:
    kubectl, _ = release
    account = "--as=" + ACCOUNT.format(kubectl.namespace)

    def allowed(where: Kubectl, verb: str, resource: str) -> bool:
        resource, _, part = resource.partition("/")
        done = where.run("auth", "can-i", verb, resource, f"--subresource={part}", account)
        return done.stdout.strip() == "yes"

    assert [what for what in MAY if not allowed(kubectl, *what)] == []
    assert [what for what in MAY_NOT if allowed(kubectl, *what)] == []
    elsewhere = replace(kubectl, namespace="default")
    assert [what for what in MAY if allowed(elsewhere, *what)] == []


@pytest.mark.parametrize("values", ["default", "namespaced", "small"])
def test_every_rendered_object_is_accepted(crds: Kubectl, helm: Helm, values: str) -> None:
    file = str(ROOT / "tests" / "chart" / "values" / f"{values}.yaml")
    how = ("--kube-version=1.35.4", "--values", file, "--skip-tests")
    rendered = helm("template", "olive", CHART, *how)  # a pod's account would have to be there
    objects = [m for m in yaml.safe_load_all(rendered) if m]
    for manifest in objects:
        manifest["metadata"].pop("namespace", None)  # it need not exist here
    everything = {"apiVersion": "v1", "kind": "List", "items": objects}
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server")
    done = crds.run(*command, "--filename=-", stdin=json.dumps(everything))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(objects)
