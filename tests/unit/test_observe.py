"""Raw objects, as the API server sends them, to the records that plans are made from."""

from datetime import UTC, datetime
from typing import Any

import pytest
from builders import spec

from olive_contract.stage import Published
from olive_operator import records
from olive_operator.api.seen import (
    KEPT_OFF,
    AttemptSeen,
    DeploymentSeen,
    Holder,
    PodSeen,
    Seen,
)
from olive_operator.ask.inquiries import Answers
from olive_operator.reconcile.observe import has_news, observe
from olive_operator.reconcile.reservations import Reservations
from olive_operator.watch import kept, kinds
from olive_operator.watch.cache import Cache
from olive_operator.watch.kinds import JOB, WATCHED

STARTED = "2026-11-20T12:00:00Z"
ENDED = "2026-11-20T12:00:30Z"
META: dict[str, Any] = {
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
ON_CLAIM = {**META["annotations"], "olive-operator.io/claim": "olive-store"}


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


def test_pod_that_has_a_node_tells_since_when() -> None:
    placed = {**condition("PodScheduled", "True", ""), "lastTransitionTime": STARTED}
    assert pod("Pending", conditions=[placed]).placedAt == datetime(2026, 11, 20, 12, tzinfo=UTC)
    short = {**condition("PodScheduled", "False", ""), "lastTransitionTime": STARTED}
    assert pod("Pending", conditions=[short]).placedAt is None


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
    seen = AttemptSeen(str(META["name"]), "quantize", "k1", 1, outcome)
    record = kept.AttemptRecord(("ml", "travel"), "j1", "u1", seen)
    assert WATCHED["Job"].record(body) == record


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
    assert records.applied(body) == "h1"


@pytest.mark.parametrize(
    ("manager", "operation", "fields", "pinned"),
    [
        ("olive-operator", "Apply", {"f:spec": {"f:replicas": {}}}, True),
        ("olive-operator", "Apply", {"f:spec": {"f:template": {}}}, False),
        ("olive-operator", "Update", {"f:spec": {"f:replicas": {}}}, False),
        ("kube-controller-manager", "Update", {"f:spec": {"f:replicas": {}}}, False),
        ("olive-operator", "Apply", {"f:status": {"f:replicas": {}}}, False),
    ],
)
def test_whose_the_number_of_replicas_is(
    manager: str, operation: str, fields: dict[str, Any], pinned: bool
) -> None:
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields}
    meta = {**META, "managedFields": [{"manager": "kubectl"}, entry]}
    body = {"metadata": meta, "spec": {"replicas": 2, "template": {"spec": {}}}}
    assert records.deployment(body).pinned is pinned


def test_record_of_an_artifact_with_and_without_measurements() -> None:
    spec = {"claim": "olive-store", "key": "k1", "kind": "evaluate"}
    body = {"metadata": META, "spec": {**spec, "metrics": {"f1": 0.5, "perplexity": 9}}}
    found = records.artifact(body).metrics
    assert found == {"f1": 0.5, "perplexity": 9.0}
    assert {type(value) for value in found.values()} == {float}, "JSON writes 9.0 as 9"
    assert records.artifact({**body, "spec": spec}).metrics == {}


def test_record_of_a_publication_says_where_the_version_is() -> None:
    spec = {"claim": "olive-store", "key": "k1", "kind": "publish"}
    told = {**spec, "published": {"reference": "hf://a/b@c"}}
    assert records.artifact({"metadata": META, "spec": told}).published == Published("hf://a/b@c")
    assert records.artifact({"metadata": META, "spec": spec}).published is None


@pytest.mark.parametrize(
    ("ready", "address", "found"),
    [
        ("True", "10.0.0.1", "10.0.0.1:8081"),
        ("True", "fd00::1", "[fd00::1]:8081"),
        ("False", "10.0.0.1", ""),
        ("True", "", ""),
    ],
)
def test_serving_pod_is_asked_only_when_it_answers(ready: str, address: str, found: str) -> None:
    status = {"podIP": address, "conditions": [condition("Ready", ready, "")]}
    assert records.answers_at({"metadata": META, "status": status}) == found


# What a plan is made from


def job_body(name: str = "travel", version: int = 1, **parts: Any) -> dict[str, Any]:
    meta = {
        "name": name,
        "namespace": "ml",
        "uid": f"uid of {name}",
        "generation": 3,
        "resourceVersion": str(version),
    }
    return {"metadata": {**meta, **parts.pop("metadata", {})}, "spec": spec(**parts)}


class Watched:
    """A cache that watches have filled, and what is seen in it."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.cache, self.now, self._version = Cache(), 0.0, 100
        self.reserved = Reservations(lambda: self.now)
        for body in jobs or (job_body(),):
            self.job(body)

    def job(self, body: dict[str, Any]) -> None:
        known = self.cache.get(JOB, kinds.key_of(body))
        record = kinds.job(body, known.record if known else None)
        self._put(JOB, body, record)

    def attempt(self, job: str, number: int, address: str = "k1", **meta: Any) -> None:
        name = f"{job}-{number}"
        notes = {
            "olive-operator.io/stage-name": "quantize",
            "olive-operator.io/address": address,
            "olive-operator.io/claim": "olive-store",
        }
        marks = {"olive-operator.io/job": job, "olive-operator.io/attempt": str(number)}
        found = {
            "name": name,
            "namespace": "ml",
            "uid": f"uid of {name}",
            "labels": marks,
            "annotations": notes,
            "ownerReferences": [{"uid": f"uid of {job}"}],
            **meta,
        }
        self.put("Job", {"metadata": found})

    def pod(self, attempt: str, phase: str = "Running", **status: Any) -> None:
        state = {"running": {"startedAt": STARTED}} if phase == "Running" else {}
        volume = {"persistentVolumeClaim": {"claimName": "olive-store"}}
        marks = {
            "olive-operator.io/job": attempt.rpartition("-")[0],
            "app.kubernetes.io/component": "stage",
            "batch.kubernetes.io/controller-uid": f"uid of {attempt}",
        }
        notes = {
            "olive-operator.io/address": "k1",
            "olive-operator.io/claim": "olive-store",
        }
        name = f"{attempt}-pod"
        meta = {"name": name, "namespace": "ml", "uid": name}
        self.put(
            "Pod",
            {
                "metadata": {**meta, "labels": marks, "annotations": notes},
                "spec": {"volumes": [volume], "nodeName": "n1" if phase == "Running" else ""},
                "status": {"phase": phase, "containerStatuses": [{"state": state}], **status},
            },
        )

    def put(self, kind: str, body: dict[str, Any]) -> None:
        self._put(kind, body, WATCHED[kind].record(body))

    def _put(self, kind: str, body: dict[str, Any], record: Any) -> None:
        self._version += 1
        key, uid = kinds.key_of(body), body["metadata"]["uid"]
        self.cache.put(kind, key, self._version, uid, record)

    def seen(self, job: str = "travel") -> Seen:
        known = self.cache.get(JOB, ("ml", job))
        assert known is not None
        assert known.record.seen is not None
        return observe(self.cache, known.record.seen, self.reserved, Answers(), {})


def test_job_as_it_is_read() -> None:
    found = kinds.job(job_body(metadata={"annotations": {"olive-operator.io/retry": "1"}})).seen
    assert found is not None
    assert (found.name, found.generation, found.retry) == ("travel", 3, "1")
    assert found.spec.adapters[0].name == "travel"


def test_spec_is_read_again_only_when_its_generation_is_another() -> None:
    first = kinds.job(job_body())
    body = {**job_body(), "status": {"phase": "Running"}}
    second = kinds.job(body, first)
    assert first.seen
    assert second.seen
    assert second.seen.spec is first.seen.spec
    assert second.seen.status.phase == "Running"
    third = kinds.job(job_body(adapters=[], metadata={"generation": 4}), second)
    assert third.seen
    assert third.seen.spec.adapters == ()


def test_spec_of_a_job_that_was_made_anew_is_not_its_predecessors() -> None:
    first = kinds.job(job_body())
    second = kinds.job(job_body(adapters=[], metadata={"uid": "another"}), first)
    assert second.seen
    assert second.seen.spec.adapters == ()


def test_status_that_is_not_ours_is_named() -> None:
    body = {**job_body(), "status": {"stages": [{"name": "x", "state": "Odd"}]}}
    record = kinds.job(body)
    assert record.seen is None
    assert record.mistake.startswith("status.stages[0].state: 'Odd' is none of Waiting")


def test_attempts_of_an_earlier_job_and_pods_of_an_earlier_attempt_are_not_this_jobs() -> None:
    found = Watched()
    found.attempt("travel", 1)
    found.attempt("travel", 2, ownerReferences=[{"uid": "an earlier one"}])
    found.pod("travel-0")
    found.pod("travel-1")
    attempts = found.seen().attempts
    assert [(a.name, a.pod and a.pod.name) for a in attempts] == [("travel-1", "travel-1-pod")]


def test_artifacts_are_those_of_the_jobs_claim() -> None:
    found = Watched()
    for claim in ("olive-store", "another"):
        body = {"metadata": {**META, "name": claim, "uid": claim}}
        found.put("Artifact", {**body, "spec": {"claim": claim, "key": f"key in {claim}"}})
    assert set(found.seen().artifacts) == {"key in olive-store"}


def test_claim_and_the_pods_that_use_it() -> None:
    found = Watched()
    assert found.seen().claims == {}
    body = {"metadata": {"name": "olive-store", "namespace": "ml", "uid": "c1"}}
    found.put(
        "PersistentVolumeClaim",
        {**body, "spec": {"accessModes": ["ReadWriteOnce"]}},
    )
    short = condition("PodScheduled", "False", "Unschedulable", f"1 node(s) {KEPT_OFF}")
    found.pod("travel-1")
    found.pod("food-1", "Pending", conditions=[short])
    found.pod("food-2", "Succeeded")
    seen = found.seen()
    assert seen.claims["olive-store"].accessModes == ("ReadWriteOnce",)
    assert sorted(seen.holders, key=lambda h: h.job) == [
        Holder("food-1-pod", "food", "stage", elsewhere=True),
        Holder("travel-1-pod", "travel", "stage", "n1"),
    ]


def test_sweep_holds_the_claim_too() -> None:
    found = Watched()
    found.pod("travel-1")
    marks = {"app.kubernetes.io/component": "sweep"}
    meta = {"name": "sweep", "namespace": "ml", "uid": "s1", "labels": marks}
    volumes = [{"persistentVolumeClaim": {"claimName": "olive-store"}}]
    found.put("Pod", {"metadata": meta, "spec": {"volumes": volumes, "nodeName": "n2"}})
    assert Holder("sweep", "", "sweep", "n2") in found.seen().holders


def test_children_of_an_earlier_job_of_this_name_are_not_this_jobs() -> None:
    found = Watched()
    volumes = [{"name": "serving", "configMap": {"name": "c1"}}]
    spec = {"replicas": 1, "template": {"spec": {"volumes": volumes}}}
    for kind in ("Deployment", "Service", "ConfigMap"):
        found.put(kind, {"metadata": META, "spec": spec})
    assert (found.seen().applied, found.seen().deployment) == ({}, None)
    ours = {**META, "ownerReferences": [{"kind": "OptimizationJob", "uid": "uid of travel"}]}
    for kind in ("Deployment", "Service", "ConfigMap"):
        found.put(kind, {"metadata": ours, "spec": spec})
    assert {ref.kind for ref in found.seen().applied} == {"Deployment", "Service", "ConfigMap"}
    assert found.seen().deployment is not None


def test_pods_on_a_claim_that_every_node_can_mount_are_not_counted() -> None:
    found = Watched()
    body = {"metadata": {"name": "olive-store", "namespace": "ml", "uid": "c1"}}
    found.put("PersistentVolumeClaim", {**body, "spec": {"accessModes": ["ReadWriteMany"]}})
    found.pod("travel-1")
    assert found.seen().holders == ()


def test_attempt_of_another_job_is_seen_by_its_address_with_its_pod() -> None:
    found = Watched(job_body(), job_body("food"))
    found.attempt("food", 1)
    found.pod("food-1")
    other = found.seen().others["k1"]
    assert (other.job, other.attempt.name, other.attempt.begun) == ("food", "food-1", True)
    assert "k2" not in found.seen().others
    assert "k1" not in found.seen("food").others, "it is its own"


def test_of_two_other_jobs_attempts_the_one_that_has_begun_counts() -> None:
    found = Watched(job_body(), job_body("food"), job_body("wine"))
    found.attempt("food", 1)
    found.attempt("wine", 1)
    found.pod("wine-1")
    assert found.seen().others["k1"].job == "wine"


def test_of_several_that_have_not_begun_the_youngest_counts() -> None:
    found = Watched(job_body(), job_body("food"), job_body("wine"))
    found.attempt("wine", 1, creationTimestamp=ENDED)
    found.attempt("food", 1, creationTimestamp=STARTED)
    short = condition("PodScheduled", "False", "Unschedulable", "no room")
    found.pod("food-1", "Pending", conditions=[short])
    assert found.seen().others["k1"].job == "wine", "it was made because food may never begin"


def test_attempt_whose_job_says_that_it_gets_no_pod_is_refused() -> None:
    def stage(**parts: Any) -> dict[str, Any]:
        state = {"name": "quantize", "state": "Pending", "address": "k1", "attempt": 1}
        return {"status": {"stages": [{**state, **parts}]}}

    food = job_body("food")
    found = Watched(job_body(), food)
    found.attempt("food", 1)
    told: list[tuple[dict[str, Any], bool]] = [
        ({"reason": "PodNotCreated"}, False),
        ({"reason": "PodRefused"}, True),
        ({"reason": "PodRefused", "attempt": 2}, False),
        ({"reason": "PodRefused", "address": "k2"}, False),
    ]
    for version, (parts, refused) in enumerate(told, start=2):
        food["metadata"]["resourceVersion"] = str(version)
        found.job({**food, **stage(**parts)})
        assert found.seen().others["k1"].refused is refused, parts


def test_attempt_counts_until_its_job_has_dealt_with_it() -> None:
    food = job_body("food")
    found = Watched(job_body(), food)
    found.attempt("food", 1)
    found.pod("food-1", "Succeeded")
    assert found.seen().others["k1"].job == "food", "its artifact is not recorded yet"
    stage = {"name": "quantize", "state": "Succeeded", "address": "k1", "endedAttempt": 1}
    found.job({**food, "status": {"stages": [stage]}})
    assert "k1" not in found.seen().others


def test_attempt_that_its_job_has_given_up_is_ending_until_it_is_gone() -> None:
    stage = {"name": "quantize", "state": "Waiting", "address": "k1", "endedAttempt": 1}
    found = Watched(job_body(), {**job_body("food"), "status": {"stages": [stage]}})
    found.attempt("food", 1)
    other = found.seen().others["k1"]
    assert (other.attempt.name, other.ending) == ("food-1", True), "its pod may still come"
    assert "k1" not in found.seen("food").others, "it is its own"
    found.attempt("food", 1, **GOES)
    assert found.seen().others["k1"].ending, "its pod may be on its way"
    found.pod("food-1", "Failed")
    assert "k1" not in found.seen().others


def test_there_is_news_of_a_job_until_its_status_tells_of_the_end_of_its_attempt() -> None:
    travel = job_body()
    found = Watched(travel)

    def news() -> bool:
        return has_news(found.cache, ("ml", "travel"))

    found.attempt("travel", 1)
    assert not news()
    found.pod("travel-1")
    assert not news()
    found.pod("travel-1", "Succeeded")
    assert news()
    stage = {"name": "quantize", "state": "Succeeded", "address": "k1", "endedAttempt": 1}
    found.job({**travel, "status": {"stages": [stage]}})
    assert not news()


def test_attempt_that_is_being_deleted_is_waited_for_until_it_is_gone() -> None:
    """Deleted just as it was made, it may get its pod all the same."""
    found = Watched(job_body(), job_body("food"))
    found.attempt("food", 1, deletionTimestamp=STARTED)
    assert found.seen().others["k1"].ending
    found.cache.drop("Job", ("ml", "food-1"), 10**6)
    assert "k1" not in found.seen().others


@pytest.mark.parametrize("job", ["travel", "food", "a job that is gone"])
def test_attempt_of_a_job_that_is_gone_is_ending_until_it_has_ended(job: str) -> None:
    found = Watched(job_body(), job_body("food"))
    found.attempt(job, 1, ownerReferences=[{"uid": "uid of a job that is gone"}])
    other = found.seen().others["k1"]
    assert (other.attempt.name, other.ending) == (f"{job}-1", True), "its pod may still come"
    found.pod(f"{job}-1", "Failed")
    assert "k1" not in found.seen().others


@pytest.mark.parametrize(("phase", "counts"), [("Running", True), ("Succeeded", False)])
def test_attempt_of_a_job_that_is_being_deleted_counts_until_it_has_ended(
    phase: str, counts: bool
) -> None:
    found = Watched(job_body(), job_body("food", metadata={"deletionTimestamp": STARTED}))
    found.attempt("food", 1)
    found.pod("food-1", phase)
    assert ("k1" in found.seen().others) is counts


GOES = {"deletionTimestamp": STARTED}


def test_pod_that_outlasts_its_attempt_is_seen_until_it_has_ended() -> None:
    found = Watched(job_body(), job_body("food"))
    found.attempt("food", 1, **GOES)
    found.pod("food-1")
    for job in ("travel", "food"):
        last = found.seen(job).others["k1"]
        assert (last.job, last.attempt.name, last.ending) == ("food", "food-1-pod", True)
    found.pod("food-1", "Failed")
    assert "k1" not in found.seen().others


def test_pod_of_a_job_that_is_gone_is_seen_though_nothing_else_of_it_is() -> None:
    found = Watched()
    found.pod("food-1")
    assert found.seen().others["k1"].ending


def test_attempt_under_way_has_a_pod_that_is_not_ending() -> None:
    found = Watched(job_body(), job_body("food"))
    found.attempt("food", 1)
    found.pod("food-1", "Pending")
    assert not found.seen().others["k1"].ending
    assert "k1" not in found.seen("food").others


def test_pod_that_is_ending_counts_before_attempts_but_for_one_that_has_begun() -> None:
    found = Watched(job_body(), job_body("food"))
    found.attempt("food", 1, **GOES)
    found.pod("food-1")
    found.attempt("food", 2)
    assert found.seen().others["k1"].ending
    found.pod("food-2")
    assert found.seen().others["k1"].attempt.name == "food-2"


def test_attempt_that_was_just_asked_for_counts_for_others_until_it_is_not_believed_in() -> None:
    found = Watched(job_body(), job_body("food"))
    food = found.seen("food").job
    manifest = {"metadata": {**META, "annotations": ON_CLAIM}}
    found.reserved.reserve(food, [manifest])
    assert found.seen().others["k1"].reserved
    assert "k1" not in found.seen("food").others
    found.now = 11
    assert "k1" not in found.seen().others


def test_attempt_that_was_refused_keeps_nobody_waiting() -> None:
    found = Watched(job_body(), job_body("food"))
    food = found.seen("food").job
    manifest = {"metadata": {**META, "annotations": ON_CLAIM}}
    found.reserved.reserve(food, [manifest])
    attempt = records.attempt(manifest)
    found.reserved.release(found.seen().job, attempt)
    assert "k1" in found.seen().others, "only who has reserved can give back"
    found.reserved.release(food, attempt)
    assert "k1" not in found.seen().others


def test_attempt_that_a_job_does_not_ask_for_any_more_keeps_nobody_waiting() -> None:
    found = Watched(job_body(), job_body("food"))
    food = found.seen("food").job
    manifest = {"metadata": {**META, "annotations": ON_CLAIM}}
    assert found.reserved.reserve(food, [manifest]) == []
    assert found.reserved.reserve(food, [manifest]) == []
    assert [a.address for a in found.reserved.reserve(food, [])] == ["k1"]
    assert "k1" not in found.seen().others
    found.reserved.reserve(food, [manifest])
    assert [a.address for a in found.reserved.forget(("ml", "food"))] == ["k1"]
    assert "k1" not in found.seen().others
