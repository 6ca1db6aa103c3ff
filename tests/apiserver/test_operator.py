"""The operator's own process against a real API server; its only node is a stand-in."""

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from builders import adapter, spec
from kubernetes import client

from .operators import UNSEEN, Jobs, Operator
from .standin_node import StandInNode, eventually

STAGES = {
    "fetch/model",
    "fetch/travel",
    "quantize",
    "export",
    "check/travel",
    "finetune/travel",
    "adapter/travel",
    "reference/travel",
    "evaluate/travel",
}
DONE = f"{len(STAGES)}/{len(STAGES)}"


def plain(**sections: Any) -> dict[str, Any]:
    """The usual job without a serving, as the stand-in node serves nothing."""
    return spec(serve=None, **sections)


def test_whole_job_runs_every_stage_once(jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    jobs.create("travel", plain())
    status = jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
    assert status["phase"] == "Ready"
    assert status["progress"] == DONE
    assert {s["state"] for s in status["stages"]} == {"Succeeded"}
    assert {a["spec"]["stage"] for a in jobs.artifacts()} == STAGES
    assert operator.measured("olive_stage_duration_seconds_count") == len(STAGES)
    assert "Traceback" not in operator.log


def test_second_job_with_the_same_base_runs_only_what_is_its_own(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", plain())
    jobs.await_ready("travel")
    node.ran.clear()
    jobs.create("food", plain(adapters=[adapter("food")]))
    status = jobs.await_ready("food")
    kinds = ("fetch", "check", "finetune", "adapter", "reference", "evaluate")
    assert sorted(node.ran) == sorted(["fetch/model", *(f"{kind}/food" for kind in kinds)])
    cached = {s["name"] for s in status["stages"] if s.get("cached")}
    assert {"quantize", "export"} <= cached


def test_killed_operator_goes_on_where_it_was_and_runs_nothing_twice(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    operator.stop(signal.SIGKILL)
    release.set()
    operator.start()
    jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)


def test_deleted_pod_is_done_again_once(jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    pods = jobs.core.list_namespaced_pod(
        jobs.namespace, label_selector="olive-operator.io/stage=quantize"
    )
    jobs.core.delete_namespaced_pod(
        pods.items[0].metadata.name, jobs.namespace, grace_period_seconds=0
    )
    eventually("quantize started again", lambda: node.ran.count("quantize") == 2)
    release.set()
    status = jobs.await_ready("travel")
    assert node.ran.count("quantize") == 2
    quantize = next(s for s in status["stages"] if s["name"] == "quantize")
    assert quantize["attempt"] == 2
    assert quantize.get("failures", 0) == 0


def test_deleting_a_job_takes_its_children_and_nothing_else_even_with_the_operator_down(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", spec())
    eventually("every stage done", lambda: jobs.status("travel").get("progress") == DONE)

    def services() -> list[str]:
        found = jobs.core.list_namespaced_service(jobs.namespace).items
        return [service.metadata.name for service in found]

    eventually("the Service", lambda: "travel-serving" in services())
    operator.stop()
    jobs.delete("travel")
    eventually("no attempts left", lambda: jobs.attempts() == [])
    eventually("no Service left", lambda: services() == [])
    assert jobs.apps.list_namespaced_deployment(jobs.namespace).items == []
    claims = jobs.core.list_namespaced_persistent_volume_claim(jobs.namespace).items
    assert [c.metadata.name for c in claims] == ["olive-store"]
    assert len(jobs.artifacts()) == len(STAGES)
    operator.start()
    node.ran.clear()
    jobs.create("travel", plain())
    jobs.await_ready("travel")
    assert sorted(node.ran) == ["fetch/model", "fetch/travel"], "only the sources are looked up"


def test_edit_while_stages_run_cancels_just_what_became_useless(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    held = [node.hold("finetune/travel"), node.hold("export")]
    jobs.create("travel", plain())
    eventually("both started", lambda: {"finetune/travel", "export"} <= {*node.ran})
    before = set(jobs.attempts())
    jobs.edit("travel", plain(adapters=[adapter("travel", rank=4)]))
    # Neither may end by itself before it is seen that one of them is ended.
    eventually("the new one started", lambda: node.ran.count("finetune/travel") == 2)
    eventually("the old one was told", lambda: node.stopped == ["finetune/travel"])
    gone = {name.rsplit("-", 2)[0] for name in before - set(jobs.attempts())}
    assert gone <= {"travel-finetune-travel", "travel-check-travel"}
    for release in held:
        release.set()
    jobs.await_ready("travel")
    again = {stage for stage, times in Counter(node.ran).items() if times > 1}
    assert again == {"check/travel", "finetune/travel"}
    assert node.stopped == ["finetune/travel"]


def test_gate_holds_a_job_back_until_it_is_loosened_and_runs_nothing_again(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    def gate(most: float) -> dict[str, Any]:
        return plain(evaluate={"gates": [{"metric": "perplexity", "max": most}]})

    jobs.create("travel", gate(8.5))
    status = jobs.await_ready("travel", "Stalled")
    missed = "perplexity is 9, at most 8.5 is asked for"
    assert {c["reason"] for c in status["conditions"]} == {"GateFailed"}
    jobs.edit("travel", gate(9.5))
    jobs.await_ready("travel")
    assert jobs.warnings("travel") == [f"evaluate/travel: {missed}"]
    assert sorted(node.ran) == sorted(STAGES)
    # Another job finds the measurement in the store, and the gate is held against that.
    jobs.create("again", gate(8.5))
    status = jobs.await_ready("again", "Stalled")
    assert status["stages"][-1]["message"] == missed
    assert node.ran.count("evaluate/travel") == 1
    eventually("both counted", lambda: operator.measured("olive_gates_failed_total") == 2)


def test_steady_job_is_not_written_again(jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    jobs.create("travel", plain())
    jobs.await_ready("travel")

    def passes() -> float:
        return operator.measured("olive_reconcile_duration_seconds_count")

    def at_rest() -> bool:
        before = passes()
        return not _changes(passes, before)

    eventually("the operator at rest", at_rest)
    version, before = jobs.get("travel")["metadata"]["resourceVersion"], passes()
    # A record of the past that is tidied away: a pass, and nothing to be done.
    name = jobs.attempts()[0]
    jobs.batch.delete_namespaced_job(name, jobs.namespace, propagation_policy="Background")
    eventually("another pass", lambda: passes() > before)
    assert jobs.get("travel")["metadata"]["resourceVersion"] == version


def test_stage_costs_at_most_four_writes(
    apiserver: Path, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    held = {stage: node.hold(stage) for stage in STAGES}

    def told() -> list[str]:
        stages = jobs.status("travel").get("stages", [])
        return [s["name"] for s in stages if s["state"] == "Running" and s["name"] in held]

    jobs.create("travel", plain())
    while held:  # each is seen to run before it ends: nothing that a status can tell is left out
        for stage in eventually("another stage is told to run", told):
            held.pop(stage).set()
    jobs.await_ready("travel")
    # The Event comes after the status that it tells of.
    eventually("an Event", lambda: "create events" in _written(apiserver, jobs.namespace))
    written = Counter(_written(apiserver, jobs.namespace))
    assert written.total() <= 4 * len(STAGES), written
    del written["update optimizationjobs/status"]
    assert written == {
        "create persistentvolumeclaims": 1,
        "create jobs": len(STAGES),
        "create artifacts": len(STAGES),
        "create events": 1,
    }


def _written(apiserver: Path, namespace: str) -> Iterator[str]:
    """What the operator has written in a namespace, by the API server's audit log."""
    for line in (apiserver.parent / "logs" / "audit.log").read_text().splitlines():
        event = json.loads(line)
        what, verb = event.get("objectRef", {}), event["verb"]
        if event["userAgent"] != "olive-operator" or what.get("namespace") != namespace:
            continue
        if verb in ("get", "list", "watch") or what["resource"] == "leases":
            continue
        part = f"/{what['subresource']}" if "subresource" in what else ""
        yield f"{verb} {what['resource']}{part}"


def test_attempt_that_is_refused_is_told_of_and_made_when_it_is_allowed(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    jobs.core.create_namespaced_resource_quota(jobs.namespace, quota)

    def in_force() -> bool:
        found = jobs.core.read_namespaced_resource_quota("none", jobs.namespace)
        return bool(found.status.hard)

    eventually("the quota in force", in_force)
    jobs.create("travel", plain())

    def stage() -> dict[str, Any]:
        stages = jobs.status("travel").get("stages") or [{}]
        return dict(stages[0])

    eventually("it is told", lambda: "exceeded quota" in stage().get("message", ""))
    assert jobs.attempts() == []
    jobs.core.delete_namespaced_resource_quota("none", jobs.namespace)
    jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
    assert "Traceback" not in operator.log


def test_operator_of_one_namespace_leaves_all_others_alone(
    apiserver: Path, api: Any, jobs: Jobs, node: StandInNode, tmp_path: Path
) -> None:
    elsewhere = Jobs(api, f"{jobs.namespace}-not-ours")
    elsewhere.core.create_namespace({"metadata": {"name": elsewhere.namespace}})
    elsewhere.create("travel", plain())
    with Operator(apiserver, tmp_path, jobs.namespace, namespaces=[jobs.namespace]) as operator:
        jobs.create("travel", plain())
        jobs.await_ready("travel")
        assert operator.measured("olive_jobs") == 1
    assert elsewhere.status("travel") == UNSEEN
    assert elsewhere.attempts() == []


def test_operator_of_two_namespaces_serves_both_and_leaves_the_third_alone(
    apiserver: Path, api: Any, jobs: Jobs, node: StandInNode, tmp_path: Path
) -> None:
    second, third = (Jobs(api, f"{jobs.namespace}-{which}") for which in ("second", "third"))
    for other in (second, third):
        other.core.create_namespace({"metadata": {"name": other.namespace}})
    both = [jobs.namespace, second.namespace]
    third.create("travel", plain())
    with (
        StandInNode(api, second.namespace) as its_node,
        Operator(apiserver, tmp_path, jobs.namespace, namespaces=both) as operator,
    ):
        for place in (jobs, second):
            place.create("travel", plain())
        for place, where in ((jobs, node), (second, its_node)):
            place.await_ready("travel")
            assert sorted(where.ran) == sorted(STAGES)
        assert operator.measured("olive_jobs") == 2
    assert third.status("travel") == UNSEEN
    assert third.attempts() == []


def test_standby_is_alive_and_writes_nothing(
    apiserver: Path, api: Any, jobs: Jobs, tmp_path: Path
) -> None:
    taken = {"holderIdentity": "another", "leaseDurationSeconds": 3600}
    lease = {"metadata": {"name": "olive-operator"}, "spec": taken}
    client.CoordinationV1Api(api).create_namespaced_lease(jobs.namespace, lease)
    jobs.create("travel", plain())
    with Operator(apiserver, tmp_path, jobs.namespace) as operator:
        eventually("it has seen the job", lambda: "everything is listed" in operator.log)
        eventually("it says that it lives", operator.healthy)
        assert not operator.leads()
    assert list(_written(apiserver, jobs.namespace)) == []
    assert jobs.status("travel") == UNSEEN


def _changes(measure: Callable[[], float], before: float) -> bool:
    try:
        eventually("a change", lambda: measure() != before, seconds=1)
    except AssertionError:
        return False
    return True
