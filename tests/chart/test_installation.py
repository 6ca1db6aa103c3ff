"""What `helm test` asks of a release, and what it says where something is amiss."""

import importlib.util
import subprocess
import sys
from copy import deepcopy
from types import ModuleType
from typing import Any

import prometheus_client
import pytest

from olive_operator import metrics

from .helm import CHART, Helm, Manifest, of_kind, values

OWN = "/api/v1/namespaces/olive-system/pods?labelSelector=app%3Dolive"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/olive-system/leases/olive"
GROUP = "/apis/olive-operator.io/v1alpha1"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "installation", CHART / "files" / "test" / "installation.py"
    )
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    sys.modules["installation"] = found  # its dataclasses look themselves up there
    spec.loader.exec_module(found)
    return found


def _pod(name: str, address: str, ready: str = "True") -> Manifest:
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name}, "status": {"podIP": address, "conditions": conditions}}


KINDS = ("optimizationjobs", "optimizationjobs/status", "artifacts", "artifacts/status")
WORKS: dict[str, Any] = {
    GROUP: {"resources": [{"name": name} for name in KINDS]},
    OWN: {"items": [_pod("one", "10.0.0.1"), _pod("two", "fd00::2")]},
    LEASE: {"spec": {"holderIdentity": "two"}},
    "http://10.0.0.1:8080/metrics": "# TYPE olive_leading gauge\nolive_leading 0.0\n",
    "http://[fd00::2]:8080/metrics": "# TYPE olive_leading gauge\nolive_leading 1.0\n",
}
GOING = {**_pod("old", "10.0.0.3"), "metadata": {"name": "old", "deletionTimestamp": "now"}}
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "an old pod that is going": (
        {OWN: {"items": [*WORKS[OWN]["items"], GOING]}},
        "",
    ),
    "a kind is not served": (
        {GROUP: {"resources": [{"name": "artifacts"}]}},
        f"does not serve optimizationjobs, optimizationjobs/status of {GROUP}",
    ),
    "a pod is not ready": (
        {OWN: {"items": [_pod("one", "10.0.0.1"), _pod("two", "fd00::2", "False")]}},
        "1 of 2 pods are ready, and there are to be 2",
    ),
    "a pod is not there": (
        {OWN: {"items": [_pod("two", "fd00::2")]}},
        "1 of 1 pods are ready, and there are to be 2",
    ),
    "nobody holds the Lease": (
        {LEASE: {"spec": {"holderIdentity": ""}}},
        "the Lease is held by nobody",
    ),
    "somebody else's pod holds the Lease": (
        {LEASE: {"spec": {"holderIdentity": "stranger"}}},
        "the Lease is held by stranger, and ['two'] leads",
    ),
    "its holder does not lead": (
        {"http://[fd00::2]:8080/metrics": "olive_leading 0.0\n"},
        "the Lease is held by two, and no pod leads",
    ),
    "two lead": (
        {"http://10.0.0.1:8080/metrics": "olive_leading 1.0\n"},
        "['one', 'two'] leads",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_it_says_what_is_wrong_where(script: ModuleType, what: str) -> None:
    change, said = BROKEN[what]
    answers = deepcopy(WORKS) | change
    release = script.Release("olive-system", "app=olive", "olive", 2)
    wrong = script.trouble(answers.__getitem__, answers.__getitem__, release)
    assert said in wrong if said else not wrong


def test_the_word_that_it_looks_for_is_the_operators() -> None:
    metrics.LEADING.set(1)
    said = prometheus_client.generate_latest().decode()
    metrics.LEADING.set(0)
    assert WORKS["http://[fd00::2]:8080/metrics"].splitlines()[-1] in said.splitlines()


@pytest.mark.parametrize("given", ["default", "everything"])
def test_its_pod_is_given_the_release(helm: Helm, given: str) -> None:
    rendered, tests = helm.manifests(*values(given)), helm.tests(*values(given))
    (container,) = of_kind(tests, "Pod")["spec"]["containers"]
    deployment = of_kind(rendered, "Deployment")
    namespace, selector, lease, replicas = container["args"]
    assert namespace == deployment["metadata"]["namespace"]
    chosen = dict(pair.split("=") for pair in selector.split(","))
    assert chosen == deployment["spec"]["selector"]["matchLabels"]
    assert f"name: {lease}\n" in of_kind(rendered, "ConfigMap")["data"]["config.yaml"]
    assert replicas == str(deployment["spec"]["replicas"])
    (operator,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == operator["image"]


def test_its_script_arrives_whole(helm: Helm) -> None:
    (container,) = of_kind(helm.tests(), "Pod")["spec"]["containers"]
    program = container["command"][-1]
    source = (CHART / "files" / "test" / "installation.py").read_text()
    assert program == source
    compiled = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "not enough values to unpack (expected 4, got 0)" in compiled.stderr


def test_it_may_do_what_it_asks_and_nothing_more(helm: Helm) -> None:
    tests = helm.tests()
    role, pod = of_kind(tests, "Role"), of_kind(tests, "Pod")
    assert [(r["resources"], r["verbs"], r.get("resourceNames")) for r in role["rules"]] == [
        (["pods"], ["list"], None),
        (["leases"], ["get"], ["olive-olive-operator"]),
    ]
    (subject,) = of_kind(tests, "RoleBinding")["subjects"]
    account = of_kind(tests, "ServiceAccount")["metadata"]["name"]
    assert subject["name"] == account == pod["spec"]["serviceAccountName"]


def test_its_pod_is_taken_for_no_operator(helm: Helm) -> None:
    rendered, tests = helm.manifests(), helm.tests()
    labels = of_kind(tests, "Pod")["metadata"]["labels"].items()
    for selector in (
        of_kind(rendered, "Deployment")["spec"]["selector"]["matchLabels"],
        of_kind(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind(rendered, "Service")["spec"]["selector"],
    ):
        assert not selector.items() <= labels


def test_there_is_none_where_roles_are_somebody_elses(helm: Helm) -> None:
    assert helm.tests("--set", "rbac.create=false") == []
