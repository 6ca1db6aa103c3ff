"""Raw objects, as the API server sends them, to the records that plans are made from."""

from datetime import UTC, datetime
from typing import Any

import pytest
from builders import spec

from olive_operator import observe, records
from olive_operator.api.seen import AttemptSeen, DeploymentSeen, PodSeen, Ref

STARTED = "2026-11-20T12:00:00Z"
ENDED = "2026-11-20T12:00:30Z"
META = {
    "name": "travel-quantize-1a2b3c4d-1-x",
    "namespace": "ml",
    "labels": {
        "olive-operator.io/job": "travel",
        "olive-operator.io/attempt": "1",
        "batch.kubernetes.io/controller-uid": "j1",
    },
    "annotations": {
        "olive-operator.io/stage-name": "quantize",
        "olive-operator.io/address": "k1",
        "olive-operator.io/applied": "h1",
    },
    "generation": 2,
    "uid": "j1",
    "ownerReferences": [{"kind": "OptimizationJob", "uid": "u1"}],
}


def pod(phase: str, state: dict[str, Any] | None = None, **status: Any) -> PodSeen:
    containers = {"containerStatuses": [{"state": state}]} if state is not None else {}
    body = {"metadata": META, "spec": {"nodeName": "n1"}}
    return records.pod({**body, "status": {"phase": phase, **containers, **status}})


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_pod_that_waits_for_a_node() -> None:
    short = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")
    assert pod("Pending", conditions=[short]).unschedulable == "0/1 nodes are available"


def test_pod_that_has_a_node_is_not_unschedulable() -> None:
    placed = condition("PodScheduled", "True", "")
    assert pod("Pending", conditions=[placed]).unschedulable == ""


def test_pod_whose_container_waits() -> None:
    found = pod("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such"}})
    assert (found.waiting, found.waitingMessage) == ("ImagePullBackOff", "no such")
    assert not found.running


def test_pod_that_runs() -> None:
    found = pod("Running", {"running": {"startedAt": STARTED}})
    assert found.running
    assert found.startedAt == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert (found.name, found.node) == (META["name"], "n1")


def test_pod_that_has_ended_with_its_report() -> None:
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "message": '{"outcome": "Failed"}',
        "startedAt": STARTED,
        "finishedAt": ENDED,
    }
    found = pod("Failed", {"terminated": ended})
    assert (found.exitCode, found.terminated, found.phase) == (1, "Error", "Failed")
    assert found.report is not None
    assert found.report.outcome == "Failed"
    assert found.finishedAt is not None
    assert found.startedAt is not None
    assert (found.finishedAt - found.startedAt).total_seconds() == 30


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            {"conditions": [condition("DisruptionTarget", "True", "PreemptionByScheduler", "x")]},
            "PreemptionByScheduler: x",
        ),
        ({"reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        ({"reason": "SomethingElse"}, ""),
        ({"conditions": [condition("DisruptionTarget", "False", "")]}, ""),
    ],
    ids=["preempted", "evicted by the kubelet", "another reason", "no disruption after all"],
)
def test_pod_that_was_disrupted(status: dict[str, Any], says: str) -> None:
    assert pod("Failed", **status).disrupted == says


def test_pod_that_has_no_status_yet() -> None:
    found = records.pod({"metadata": META})
    assert (found.phase, found.running, found.report) == ("Pending", False, None)


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        ([], ""),
        ([condition("FailureTarget", "True", "PodFailed")], ""),
        ([condition("Complete", "True", "")], "Complete"),
        ([condition("Failed", "True", "BackoffLimitExceeded")], "Failed"),
        ([condition("Complete", "False", "")], ""),
    ],
)
def test_job_of_an_attempt(conditions: list[dict[str, str]], outcome: str) -> None:
    body = {"metadata": META, "status": {"conditions": conditions}}
    name = str(META["name"])
    seen = AttemptSeen(name, "quantize", "k1", 1, outcome)
    assert records.attempt(body) == records.AttemptRecord("j1", "u1", seen)
    assert records.job_of(body) == ("ml", "travel")
    assert records.attempt_of(body) == "j1"


@pytest.mark.parametrize(
    ("pod_phase", "deleting", "outcome", "ended"),
    [
        ("Running", False, "", ""),
        ("Running", False, "Failed", ""),
        ("Running", True, "Failed", "Failed"),
        ("Succeeded", False, "", "Complete"),
        ("Failed", False, "", "Failed"),
        (None, False, "Failed", "Failed"),
        (None, False, "", ""),
    ],
)
def test_attempt_ends_with_its_pod(
    pod_phase: str | None, deleting: bool, outcome: str, ended: str
) -> None:
    found = PodSeen("p", phase=pod_phase, deleting=deleting) if pod_phase else None
    assert AttemptSeen("a", "quantize", "k", 1, outcome, pod=found).ended == ended


def test_deployment_and_what_was_applied() -> None:
    volumes = [{"name": "store"}, {"name": "serving", "configMap": {"name": "c1"}}]
    body = {
        "metadata": META,
        "spec": {"replicas": 2, "template": {"spec": {"volumes": volumes}}},
        "status": {
            "replicas": 3,
            "readyReplicas": 2,
            "updatedReplicas": 1,
            "observedGeneration": 1,
        },
    }
    assert records.deployment(body) == DeploymentSeen(2, 3, 2, 1, False, "c1")
    assert records.applied(body, "Deployment") == (Ref("Deployment", str(META["name"])), "h1")


def test_record_of_an_artifact_with_and_without_measurements() -> None:
    spec = {"claim": "olive-store", "key": "k1", "kind": "evaluate"}
    body = {"metadata": META, "spec": {**spec, "metrics": {"f1": 0.5, "perplexity": 9}}}
    found = records.artifact(body).metrics
    assert found == {"f1": 0.5, "perplexity": 9.0}
    assert {type(value) for value in found.values()} == {float}, "JSON writes 9.0 as 9"
    assert records.artifact({**body, "spec": spec}).metrics == {}


@pytest.mark.parametrize(
    ("ready", "address", "found"),
    [("True", "10.0.0.1", "10.0.0.1:8080"), ("False", "10.0.0.1", None), ("True", "", None)],
)
def test_serving_pod_is_asked_only_when_it_answers(
    ready: str, address: str, found: str | None
) -> None:
    status = {"podIP": address, "conditions": [condition("Ready", ready, "")]}
    seen = records.serving_pod({"metadata": META, "status": status})
    assert (seen.address if seen else None) == found


def test_job_is_trimmed_to_what_a_pass_needs() -> None:
    body = {
        "metadata": {
            "name": "travel",
            "namespace": "ml",
            "uid": "u1",
            "generation": 3,
            "resourceVersion": "7",
            "managedFields": ["…"],
            "annotations": {"olive-operator.io/retry": "1"},
        },
        "spec": spec(),
    }
    found = records.trimmed_job(body)
    assert "managedFields" not in found["metadata"]
    seen = observe.observe(observe.Records(found)).job
    assert (seen.name, seen.generation, seen.retry) == ("travel", 3, "1")
    assert seen.spec.adapters[0].name == "travel"


def test_status_that_is_not_ours_is_named() -> None:
    meta = {"name": "t", "namespace": "ml", "uid": "u", "generation": 1, "resourceVersion": "1"}
    body = {"metadata": meta, "spec": spec(), "status": {"stages": [{"name": "x", "state": "Odd"}]}}
    with pytest.raises(ValueError, match=r"status.stages\[0\].state: 'Odd' is none of Waiting"):
        observe.observe(observe.Records(records.trimmed_job(body)))


def test_attempts_of_an_earlier_job_and_pods_of_an_earlier_attempt_are_not_this_jobs() -> None:
    meta = {"name": "t", "namespace": "ml", "uid": "u1", "generation": 1, "resourceVersion": "1"}
    job = records.trimmed_job({"metadata": meta, "spec": spec()})
    ours = AttemptSeen("a-1", "quantize", "k1", 1)
    found = observe.observe(
        observe.Records(
            job,
            attempts=[
                records.AttemptRecord("j2", "u1", ours),
                records.AttemptRecord("j9", "u0", AttemptSeen("old", "quantize", "k1", 1)),
            ],
            pods=[("j1", PodSeen("of-the-attempt-before")), ("j2", PodSeen("ours"))],
        )
    )
    assert [(a.name, a.pod and a.pod.name) for a in found.attempts] == [("a-1", "ours")]
