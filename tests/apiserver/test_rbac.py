"""The operator under its own ServiceAccount through all that can happen to jobs.

What it has asked of the API server, by the audit log, is what the chart lets it ask: no less and no
more.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import adapter, spec
from programs import ROOT

from olive_contract.failures import FailureClass
from olive_contract.stage import Report

from .audit import AuditLog, Right, granted
from .kubectl import Kubectl
from .operators import Jobs, Operator
from .planes import plane, with_crds
from .standin_node import StandInNode, eventually, pretty
from .test_chart_install import ACCOUNT, CHART, Helm, helm  # noqa: F401 - a fixture

NAME = "olive-olive-operator"
SECRET = f"hf_{uuid.uuid4().hex}"
VALUES = [
    *("crds.install=false", "rbac.aggregate=false"),
    *("progressSeconds=1", "retry.backoffSeconds=1", "store.retention=1s", "gatewayAPI=true"),
]
ROUTES = Path(__file__).parent / "httproutes.yaml"
SERVED = {
    "autoscaling": {"maxReplicas": 2},
    "apiKeys": {"secretRef": "hf-token"},
    "route": {"parentRefs": [{"name": "public"}]},
}
NOT_SEEN = {"update olive-operator.io/optimizationjobs/finalizers"}
"""Checked by the admission plugin OwnerReferencesPermissionEnforcement, which few clusters have."""
OF_THE_OTHERS = {
    "list events",
    "get kueue.x-k8s.io/localqueues",
    "delete olive-operator.io/optimizationjobs",
}
"""What only their story takes: pods that do not come, a queue, a job that goes when it is done."""
WATCHES = ("watch", "")
DISCOVERY = ("/api", "/apis", "/version")


@pytest.fixture(scope="module")
def apiserver() -> Iterator[Path]:
    """With Kueue, for its kinds; the jobs here only ask whether their queue is there.

    The Gateway API is a kind by the name of HTTPRoute that nobody acts upon.
    """
    with plane("rbac", "--kueue") as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def crds(apiserver: Path) -> Kubectl:
    kubectl = with_crds(apiserver)
    kubectl("apply", f"--filename={ROUTES}")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", f"--filename={ROUTES}")
    return kubectl


class Installed(Operator):
    """The operator with the configuration and under the account that the chart gives it."""

    def __init__(self, release: Kubectl, folder: Path) -> None:
        super().__init__(_account(release, folder), folder, release.namespace)
        found = release("get", "configmap", NAME, "--output=jsonpath={.data.config\\.yaml}")
        settings = yaml.safe_load(found)
        settings["lease"]["namespace"] = release.namespace
        self._config.write_text(yaml.safe_dump(settings))


def _account(release: Kubectl, folder: Path) -> Path:
    """A kubeconfig with the ServiceAccount's token, and nothing else."""
    config = yaml.safe_load(release.kubeconfig.read_text())
    token = release("create", "token", NAME, "--duration=1h").strip()
    config["users"] = [{**config["users"][0], "user": {"token": token}}]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def ml(crds: Kubectl, namespace: str) -> Kubectl:
    return replace(crds, namespace=namespace)


@pytest.fixture
def namespaces(ml: Kubectl) -> list[str]:
    """Whose jobs the release is for; all of the cluster if empty."""
    return [str(ml.namespace)]


@pytest.fixture
def release(crds: Kubectl, namespaces: list[str], helm: Helm) -> Iterator[Kubectl]:  # noqa: F811
    """The chart in a namespace of its own, for the jobs of others."""
    name = f"olive-{uuid.uuid4().hex[:8]}"
    where = (f"--namespace={name}", "--create-namespace")
    values = ("--set", ",".join(VALUES), "--set-json", f"namespaces={json.dumps(namespaces)}")
    helm("install", "olive", CHART, *where, *values)
    yield replace(crds, namespace=name)
    helm("uninstall", "olive", f"--namespace={name}")


@pytest.fixture
def operator(release: Kubectl, tmp_path: Path) -> Iterator[Operator]:
    with Installed(release, tmp_path) as found:
        yield found


@pytest.fixture
def asked(release: Kubectl) -> AuditLog:
    return AuditLog(release.kubeconfig, ACCOUNT.format(release.namespace))


def kubectl_olive(ml: Kubectl, command: str) -> str:
    """As people type it."""
    where = [f"--kubeconfig={ml.kubeconfig}", f"--namespace={ml.namespace}"]
    done = subprocess.run(
        [sys.executable, "-m", "olive_cli", command, "travel", *where],
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def wanted(rank: int = 8, **sections: Any) -> dict[str, Any]:
    model = {"source": "hf://someone/tiny", "secretRef": "hf-token"}
    return spec(model=model, adapters=[adapter("travel", rank=rank)], **sections)


def live(ml: Kubectl, jobs: Jobs, node: StandInNode, asked: AuditLog) -> None:
    """A failure, a retry, a serving, an edit, a lost artifact, a pause, and the end of it all."""
    ml("create", "secret", "generic", "hf-token", f"--from-literal=token={SECRET}")
    release = node.hold("quantize")
    denied = Report("Failed", reason=FailureClass.AUTH_DENIED, message="401 of the hub")
    node.failing["fetch/travel"] = [denied]
    jobs.create("travel", wanted(serve=SERVED))
    log = Right(jobs.namespace, "get", "pods/log")
    eventually("progress looked for in the log", lambda: log in asked.used())
    release.set()
    awaits(jobs, "travel", "fetch/travel", "AuthDenied")
    assert "tried again" in kubectl_olive(ml, "retry")

    def served() -> bool:
        return bool(jobs.apps.list_namespaced_deployment(jobs.namespace).items)

    def done() -> bool:
        found = jobs.status("travel")
        return bool(found["progress"] == f"{len(found['stages'])}/{len(found['stages'])}")

    eventually("every stage done", done, seconds=60)
    eventually("a serving", served)
    lost = stage(jobs, "travel", "quantize")["key"]
    node.failing["finetune/travel"] = [
        Report("Failed", reason=FailureClass.INPUT_MISSING, message="not there", missing=lost)
    ]
    release = node.hold("export")
    jobs.edit("travel", wanted(rank=4, export={"head": "fp16"}, serve=SERVED))
    awaits(jobs, "travel", "export", "Running")
    eventually("what was lost made again", lambda: node.ran.count("quantize") == 2)
    assert "told to stop: export" in kubectl_olive(ml, "suspend")
    eventually("suspended", lambda: jobs.status("travel")["phase"] == "Suspended")
    release.set()
    kubectl_olive(ml, "resume")
    eventually("every stage done again", done, seconds=60)
    jobs.edit("travel", wanted(rank=4, serve=None))
    eventually("no serving", lambda: not served())


def others(jobs: Jobs) -> None:
    """A queue and a priority that are not there, and a job that goes when it is done."""
    jobs.create("queued", wanted(serve=None, queue="team-a"))
    awaits(jobs, "queued", "fetch/model", "QueueUnavailable")
    jobs.create("urgent", wanted(rank=2, serve=None, priorityClassName="missing"))
    awaits(jobs, "urgent", "fetch/model", "PodRefused")
    jobs.create("passing", wanted(rank=4, serve=None, evaluate=None, ttlAfterFinished="0s"))

    def there() -> list[str]:
        found = jobs.custom.list_namespaced_custom_object(
            "olive-operator.io", "v1alpha1", jobs.namespace, "optimizationjobs"
        )
        return [item["metadata"]["name"] for item in found["items"]]

    eventually("the job gone", lambda: "passing" not in there(), seconds=60)


def swept(jobs: Jobs, asked: AuditLog) -> None:
    begun = Right(jobs.namespace, "patch", "batch/jobs")
    eventually("a sweep of the store", lambda: begun in asked.used(), seconds=90)


def idle(asked: AuditLog, may: set[Right]) -> set[str]:
    """It was denied nothing, asked for nothing else; what it may do and did not do."""
    assert sorted(map(str, asked.denied())) == []
    used = asked.used()
    assert sorted(str(one) for one in used if not any(right.covers(one) for right in may)) == []
    assert [path for path in asked.paths() if not path.startswith(DISCOVERY)] == []
    assert not any("secrets" in right.resource for right in may | used)
    unused = {right for right in may if not any(right.covers(one) for one in used)}
    return {f"{right.verb} {right.resource}" for right in unused}


def test_it_may_do_what_it_does_and_nothing_else(
    release: Kubectl,
    ml: Kubectl,
    jobs: Jobs,
    node: StandInNode,
    operator: Operator,
    asked: AuditLog,
) -> None:
    try:
        live(ml, jobs, node, asked)
        others(jobs)
        swept(jobs, asked)
    finally:  # what is denied is why something did not come
        assert sorted(map(str, asked.denied())) == []
    assert operator.stop() == 0
    assert idle(asked, granted(_roles(release) + _roles(ml))) == NOT_SEEN
    told = ("optimizationjobs,artifacts,jobs,pods,events,configmaps,deployments", "--output=json")
    assert SECRET not in ml("get", *told)
    assert SECRET not in operator.log


@pytest.mark.parametrize("namespaces", [[]], ids=["all namespaces"])
def test_for_the_whole_cluster_it_may_do_what_it_does_and_nothing_else(
    release: Kubectl,
    ml: Kubectl,
    jobs: Jobs,
    node: StandInNode,
    operator: Operator,
    asked: AuditLog,
) -> None:
    """A shorter story: without ``others``, whose events are looked for after half a minute only."""
    try:
        live(ml, jobs, node, asked)
        swept(jobs, asked)
    finally:
        assert sorted(map(str, asked.denied())) == []
    assert operator.stop() == 0
    cluster = json.loads(release("get", "clusterrole", NAME, "--output=json"))
    # Other tests may have left jobs of their own in the cluster.
    assert idle(asked, granted([cluster, *_roles(release)])) <= NOT_SEEN | OF_THE_OTHERS
    assert _roles(ml) == []
    watched = {right.resource for right in asked.used() if (right.verb, right.namespace) == WATCHES}
    assert {"pods", "batch/jobs", "olive-operator.io/optimizationjobs"} <= watched


@pytest.mark.parametrize("namespaces", [[]], ids=["all namespaces"])
def test_roles_of_namespaces_are_the_cluster_role(release: Kubectl, helm: Helm) -> None:  # noqa: F811
    cluster = json.loads(release("get", "clusterrole", NAME, "--output=json"))
    values = ("--set", "namespaces={ml},gatewayAPI=true")
    one = (*values, "--show-only=templates/rbac.yaml", "--kube-version=1.35.4")
    rendered = yaml.safe_load_all(helm("template", "olive", CHART, *one))
    (role,) = (m for m in rendered if m["kind"] == "Role" and m["metadata"]["namespace"] == "ml")
    assert role["rules"] == cluster["rules"]


def _roles(where: Kubectl) -> list[dict[str, Any]]:
    """Those that the account is bound to in a namespace."""
    found: list[dict[str, Any]] = json.loads(where("get", "roles", "--output=json"))["items"]
    return found


def test_in_its_namespaces_it_has_no_right_on_the_cluster(release: Kubectl) -> None:
    bindings = json.loads(release("get", "clusterrolebindings", "--output=json"))["items"]
    ours = [
        b["metadata"]["name"]
        for b in bindings
        for subject in b.get("subjects") or []
        if (subject["kind"], subject["name"]) == ("ServiceAccount", NAME)
        and subject["namespace"] == release.namespace
    ]
    assert ours == []


def test_no_rule_is_a_wildcard(release: Kubectl, ml: Kubectl) -> None:
    rules = [rule for role in _roles(release) + _roles(ml) for rule in role["rules"]]
    assert len(rules) > 5
    assert not [r for r in rules if "*" in (*r["apiGroups"], *r["resources"], *r["verbs"])]
