"""How a job comes to be in each of the phases, by the real operator at a real API server."""

from collections.abc import Callable
from typing import Any

from apiserver.operators import Jobs, Operator
from apiserver.standin_node import StandInNode, eventually, pretty
from builders import spec

from olive_contract.failures import FailureClass
from olive_contract.stage import Report

Story = Callable[[Jobs, StandInNode, Operator], dict[str, Any]]

NO_ADAPTERS: dict[str, Any] = {"adapters": [], "evaluate": None}


def plain(**sections: Any) -> dict[str, Any]:
    """The usual job without a serving, as the stand-in node serves nothing."""
    return spec(serve=None, **sections)


def found(jobs: Jobs, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The job, as soon as this holds of its status."""

    def looked() -> dict[str, Any] | None:
        obj = jobs.get("travel")
        return obj if "conditions" in obj["status"] and holds(obj["status"]) else None

    try:
        obj: dict[str, Any] = eventually(what, looked, seconds=60)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pretty(jobs.status('travel'))}") from None
    return obj


def is_about(reason: str) -> Callable[[dict[str, Any]], bool]:
    """All conditions have one reason."""
    return lambda status: {c["reason"] for c in status["conditions"]} == {reason}


def at(stage: str, **fields: Any) -> Callable[[dict[str, Any]], bool]:
    """The stage has these fields."""

    def holds(status: dict[str, Any]) -> bool:
        (now,) = [s for s in status["stages"] if s["name"] == stage]
        return bool(fields.items() <= now.items())

    return holds


def new(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    operator.stop()
    jobs.create("travel", plain())
    return jobs.get("travel")


def edited(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    completed(jobs, node, operator)
    operator.stop()
    jobs.edit("travel", plain(retry={"limit": 5}))
    return jobs.get("travel")


def pending(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    jobs.create("travel", plain())
    return found(jobs, "a pod is waited for", at("fetch/model", state="Pending", attempt=1))


def running(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    node.hold("quantize")
    jobs.create("travel", plain())
    return found(jobs, "quantize runs", at("quantize", state="Running"))


def retrying(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    node.failing["quantize"] = [
        Report("Failed", reason=FailureClass.STAGE_ERROR, message="it broke")
    ]
    jobs.create("travel", plain(retry={"backoff": "10m"}))
    return found(jobs, "quantize waits", at("quantize", state="Pending", failures=1))


def serving_starting(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    jobs.create("travel", spec(**NO_ADAPTERS))
    return found(jobs, "pods are waited for", is_about("ServingStarting"))


def suspended(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    running(jobs, node, operator)
    jobs.edit("travel", plain(suspend=True))
    return found(jobs, "it is suspended", is_about("Suspended"))


def completed(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    jobs.create("travel", plain())
    return found(jobs, "it is done", is_about("Completed"))


def completed_suspended(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    completed(jobs, node, operator)
    jobs.edit("travel", plain(suspend=True))
    edit: int = jobs.get("travel")["metadata"]["generation"]
    return found(jobs, "the edit is seen", lambda s: bool(s["observedGeneration"] == edit))


def serving(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    jobs.create("travel", spec(serve={"replicas": 0}, **NO_ADAPTERS))
    return found(jobs, "it serves", is_about("Serving"))


def failed(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    said = "row 3 has no column prompt"
    node.failing["fetch/travel"] = [
        Report("Failed", reason=FailureClass.INVALID_INPUT, message=said)
    ]
    jobs.create("travel", plain())
    return found(jobs, "it has failed", is_about("InvalidInput"))


def gate_missed(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    jobs.create("travel", plain(evaluate={"gates": [{"metric": "perplexity", "max": 8.5}]}))
    return found(jobs, "it is held back", is_about("GateFailed"))


def refused(jobs: Jobs, node: StandInNode, operator: Operator) -> dict[str, Any]:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    jobs.core.create_namespaced_resource_quota(jobs.namespace, quota)

    def in_force() -> bool:
        found = jobs.core.read_namespaced_resource_quota("none", jobs.namespace)
        return bool(found.status.hard)

    eventually("the quota in force", in_force)
    jobs.create("travel", plain())
    return found(jobs, "it is refused", is_about("Refused"))


LIVED: dict[str, Story] = {
    "new": new,
    "edited": edited,
    "pending": pending,
    "running": running,
    "retrying": retrying,
    "serving-starting": serving_starting,
    "suspended": suspended,
    "completed": completed,
    "completed-suspended": completed_suspended,
    "serving": serving,
    "failed": failed,
    "gate-missed": gate_missed,
    "refused": refused,
}
"""By the phase's name."""
