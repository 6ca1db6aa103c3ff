"""What the metrics read out of a job: pure, and cheap, as every scrape does it for every job."""

from typing import Final

from olive_operator.api.spec import Spec
from olive_operator.api.status import StageStatus, State, Status
from olive_operator.plan.graph import WITHOUT_GPU
from olive_operator.plan.waits import SHARED

_TRAINS_OR_RUNS: Final = ("finetune", "workflow")
_BUILT_ELSEWHERE: Final = (SHARED, "BuiltByAnotherStage")


def kind(stage: str) -> str:
    """The kind of a stage by its name."""
    return stage.partition("/")[0]


def product(spec: Spec) -> str:
    """The GPU product that a job names; empty where it names none, or several to choose from."""
    products = spec.gpu.products
    return products[0] if len(products) == 1 else ""


def gpus(spec: Spec, stage: str) -> int:
    """How many GPUs an attempt at a stage holds; what the graph says, without making it."""
    if kind(stage) in _TRAINS_OR_RUNS:
        return spec.gpu.count
    if stage == "quantize" and spec.quantize and spec.quantize.algorithm not in WITHOUT_GPU:
        return spec.gpu.count
    return 0


def waits(stage: StageStatus) -> bool:
    """Whether it is due and no pod of its own runs; what is built elsewhere waits there."""
    return stage.state == State.PENDING and stage.reason not in _BUILT_ELSEWHERE


def stalled(status: Status) -> str:
    """Why only a person can bring the job further; empty if nobody has to."""
    found = status.condition("Stalled")
    return found.reason if found and found.status == "True" else ""


def waiting_since(status: Status) -> str:
    """Since when a stage is due and nothing of the job runs; empty if that is not so.

    It is when the job last came to it: began, ended a stage, was due to try one again, or was set
    going again.
    """
    runs = any(stage.state == State.RUNNING for stage in status.stages)
    if runs or not any(waits(stage) for stage in status.stages):
        return ""
    begun = [status.startedAt]
    for stage in status.stages:
        begun += (stage.finishedAt, stage.retryAt)
    return max(*begun, _set_going(status))


def _set_going(status: Status) -> str:
    """When it last came to work: edited, retried, resumed, or given what it was Stalled for.

    While it is Stalled, that is when it ceased to be Ready: being Stalled ends no waiting.
    """
    working = status.condition("Reconciling")
    since = working if working and working.status == "True" else status.condition("Ready")
    return since.lastTransitionTime if since else ""


def changed_at(status: Status) -> str:
    """When anything has last happened to a job: RFC 3339, so that the latest is the greatest."""
    instants = [condition.lastTransitionTime for condition in status.conditions]
    instants.append(status.startedAt)
    for stage in status.stages:
        instants += (stage.startedAt, stage.progressedAt, stage.finishedAt)
    return max(instants)
