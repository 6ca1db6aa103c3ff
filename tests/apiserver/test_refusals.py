"""The API server refuses what the operator asks for, for a while: nothing is lost or doubled."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from .kubectl import Kubectl, Manifest
from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually
from .test_operator import STAGES, plain

ACCOUNT = "throttled"
LEVEL = "PriorityLevelConfiguration"
LEASE = {"seconds": 300, "renewSeconds": 200, "retrySeconds": 1}
"""One that outlasts what happens here."""


@pytest.fixture
def ml(crds: Kubectl, namespace: str) -> Kubectl:
    return replace(crds, namespace=namespace)


@pytest.fixture
def webhook(ml: Kubectl) -> Iterator[Manifest]:
    """A webhook that has to be asked about every Job of the namespace, and never answers."""
    yield {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": ml.namespace},
        "webhooks": [
            {
                "name": "nowhere.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ml.namespace}},
                "rules": [
                    {
                        "apiGroups": ["batch"],
                        "apiVersions": ["v1"],
                        "resources": ["jobs"],
                        "operations": ["CREATE"],
                    }
                ],
            }
        ],
    }
    ml("delete", "validatingwebhookconfiguration", ml.namespace, "--ignore-not-found")


def test_job_says_that_a_webhook_does_not_answer_and_goes_on_without_it(
    ml: Kubectl, webhook: Manifest, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    ml.apply(webhook)
    probe = ("create", "job", "probe", "--image=x", "--dry-run=server")
    eventually("the webhook in force", lambda: ml.run(*probe).returncode != 0)
    before = set(jobs.attempts())
    release.set()

    def export() -> dict[str, Any]:
        return next(s for s in jobs.status("travel")["stages"] if s["name"] == "export")

    eventually("it is told", lambda: export().get("reason") == "Refused")
    assert 'failed calling webhook "nowhere.example.com"' in export()["message"]
    assert set(jobs.attempts()) <= before
    assert jobs.is_("travel", "Stalled")
    ml("delete", "validatingwebhookconfiguration", ml.namespace)
    status = jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
    assert not any(s.get("failures") or s.get("attempt", 1) > 1 for s in status["stages"])
    assert "Traceback" not in operator.log


@pytest.mark.parametrize("kind", ["persistentvolumeclaims", "services"])
def test_job_says_that_a_quota_leaves_no_room_and_goes_on_when_there_is(
    ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator, kind: str
) -> None:
    ml("create", "quota", "none", f"--hard=count/{kind}=0")
    probe = ("get", "quota", "none", "--output=jsonpath={.status.hard}")
    eventually("the quota is counted", lambda: kind in ml(*probe))
    jobs.create("travel", {**plain(), "serve": {}})
    eventually("it is told", lambda: jobs.is_("travel", "Stalled"))
    stalled = next(c for c in jobs.status("travel")["conditions"] if c["type"] == "Stalled")
    assert stalled["reason"] == "Refused"
    assert "exceeded quota: none" in stalled["message"]
    eventually("and in an Event", lambda: stalled["message"] in jobs.warnings("travel"))
    if kind == "persistentvolumeclaims":
        assert not jobs.attempts(), "without a claim they would only wait"
    ml("delete", "quota", "none")
    eventually("it goes on", lambda: not jobs.is_("travel", "Stalled"))
    service = ("get", "service", "travel-serving", "--ignore-not-found")
    eventually("all is applied", lambda: ml(*service))
    assert sorted(node.ran) == sorted(STAGES)
    assert "Traceback" not in operator.log


@pytest.fixture
def throttled(ml: Kubectl, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of an account that has one seat and no queue: all else gets 429."""
    name = str(ml.namespace)
    ml("create", "serviceaccount", ACCOUNT)
    account = f"--serviceaccount={name}:{ACCOUNT}"
    ml("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", account)
    limited = {"lendablePercent": 0, "borrowingLimitPercent": 0}
    limited["nominalConcurrencyShares"] = 1
    reject = {"limitResponse": {"type": "Reject"}}
    whose = {"kind": "ServiceAccount", "serviceAccount": {"name": ACCOUNT, "namespace": name}}
    every = {what: ["*"] for what in ("verbs", "apiGroups", "resources", "namespaces")}
    matched = {"subjects": [whose], "resourceRules": [{**every, "clusterScope": True}]}
    # The shares of all levels are of 600 seats: so many more make ours a single one.
    others = {"nominalConcurrencyShares": 400, "lendablePercent": 100}
    objects: list[tuple[str, str, dict[str, Any]]] = [
        (LEVEL, f"{name}-others", {"type": "Limited", "limited": {**others, **reject}}),
        (LEVEL, name, {"type": "Limited", "limited": {**limited, **reject}}),
        (
            "FlowSchema",
            name,
            {
                "matchingPrecedence": 300,
                "priorityLevelConfiguration": {"name": name},
                "rules": [matched],
            },
        ),
    ]
    for kind, named, spec in objects:
        meta = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "metadata": {"name": named}}
        ml.apply({**meta, "kind": kind, "spec": spec})
    whole = yaml.safe_load(ml.kubeconfig.read_text())
    token = ml("create", "token", ACCOUNT, "--duration=1h").strip()
    whole["users"] = [{**whole["users"][0], "user": {"token": token}}]
    path = tmp_path / "throttled"
    path.write_text(yaml.safe_dump(whole))
    yield path
    for kind, named, _ in reversed(objects):
        ml("delete", kind, named)
    ml("delete", "clusterrolebinding", name)


def refused(apiserver: Path, namespace: str) -> int:
    """How many requests of the throttled account were answered with 429."""
    user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
    events = map(json.loads, (apiserver.parent / "logs" / "audit.log").read_text().splitlines())
    return sum(
        (event["user"]["username"], event.get("responseStatus", {}).get("code")) == (user, 429)
        for event in events
    )


def test_jobs_get_ready_though_the_api_server_takes_one_request_at_a_time(
    apiserver: Path, throttled: Path, jobs: Jobs, node: StandInNode, tmp_path: Path
) -> None:
    names = [f"travel-{number}" for number in range(3)]
    for name in names:
        jobs.create(name, plain())
    here = [jobs.namespace]
    with Operator(throttled, tmp_path, jobs.namespace, lease=LEASE, namespaces=here) as operator:
        ready = lambda: all(jobs.is_(name, "Ready") for name in names)  # noqa: E731
        eventually("all Ready", ready, seconds=120)
        assert operator.runs
        assert "the API server does not answer: 429" in operator.log
        assert "Traceback" not in operator.log
    assert refused(apiserver, jobs.namespace) > 0
    attempts = [s.get("attempt", 0) for name in names for s in jobs.status(name)["stages"]]
    assert max(attempts) == 1
