"""A stage's status in each of its states: what a person reads of it, and what is remembered."""

from dataclasses import dataclass, replace
from datetime import datetime

from olive_contract.stage import Report
from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.config import Config
from olive_operator.plan import pods
from olive_operator.plan.clock import text
from olive_operator.plan.pods import Failure

MESSAGE_LIMIT = 1024
"""Characters of a message in the status; the log has the rest."""


@dataclass(frozen=True)
class View:
    """What is known of one stage, gathered for the small functions of this flow."""

    stage: Stage
    address: Address
    before: StageStatus
    attempt: AttemptSeen | None
    seen: Seen
    config: Config
    now: datetime


def waiting(before: StageStatus, inputs: list[str]) -> StageStatus:
    """Not yet due; the counts of attempts are kept, as the address may stay what it was."""
    why = f"waits for {', '.join(inputs)}"
    return replace(before, state=State.WAITING, reason="WaitingForInputs", message=why, key="")


def cached(view: View) -> StageStatus:
    """The store had the artifact; nothing was run for it."""
    return StageStatus(
        view.stage.name,
        State.SUCCEEDED,
        "Cached",
        "the artifact was in the store",
        address=view.address.name,
        key=view.address.key,
        cached=True,
        gpuSeconds=view.before.gpuSeconds,
        finishedAt=text(view.now),
        metrics=dict(view.seen.artifacts[view.address.key].metrics),
    )


def going_on(view: View, attempt: AttemptSeen) -> StageStatus:
    """The attempt is there: its pod waits for something, or runs."""
    pod = attempt.pod
    base = replace(
        view.before,
        attempt=attempt.number,
        retryAt="",
        finishedAt="",
        pod=pod.name if pod else "",
        node=pod.node if pod else "",
    )
    if pod is None or not pod.running:
        gpu = view.seen.job.spec.gpu if view.stage.gpu else None
        why = pods.pending(pod, gpu)
        return replace(base, state=State.PENDING, reason=why.reason, message=why.message)
    progress = view.seen.progress.get(pod.name)
    base = replace(
        base,
        state=State.RUNNING,
        reason="Running",
        message="",
        startedAt=text(pod.startedAt) if pod.startedAt else "",
    )
    if progress is None:
        return base
    return replace(
        base,
        percent=progress.percent,
        remainingSeconds=progress.remainingSeconds,
        loss=progress.loss,
        message=progress.message,
    )


def succeeded(view: View, attempt: AttemptSeen, report: Report) -> StageStatus:
    """The attempt has made the artifact, or found it in the store."""
    pod = attempt.pod
    return StageStatus(
        view.stage.name,
        State.SUCCEEDED,
        "Cached" if report.cached else "Built",
        report.message,
        address=view.address.name,
        key=report.key,
        cached=report.cached,
        attempt=attempt.number,
        failures=view.before.failures,
        endedAttempt=attempt.number,
        pod=pod.name if pod else "",
        node=pod.node if pod else "",
        startedAt=text(pod.startedAt) if pod and pod.startedAt else "",
        finishedAt=text(pod.finishedAt) if pod and pod.finishedAt else text(view.now),
        # Kubernetes tells whole seconds; of a short stage the report knows more.
        seconds=round(max(_seconds(attempt), report.seconds), 1),
        gpuSeconds=view.before.gpuSeconds + _gpu_seconds(view, attempt),
        metrics=report.metrics,
        lastFailure=view.before.lastFailure,
    )


def failed(
    view: View, attempt: AttemptSeen, found: Failure, failures: int, at: datetime | None
) -> StageStatus:
    """The attempt has failed; ``failures`` now count, and ``at`` it is tried again, if it is."""
    before, pod = view.before, attempt.pod
    return replace(
        before,
        state=State.PENDING if at else State.FAILED,
        reason=found.failure.value,
        message=shortened(found.message),
        attempt=attempt.number,
        failures=failures,
        endedAttempt=attempt.number,
        retryAt=text(at) if at else "",
        pod=pod.name if pod else before.pod,
        node=pod.node if pod else before.node,
        finishedAt=text(ended_at(view, attempt)),
        seconds=round(_seconds(attempt), 1),
        gpuSeconds=before.gpuSeconds + _gpu_seconds(view, attempt),
        percent=None,
        remainingSeconds=None,
        lastFailure=shortened(f"{found.failure.value}: {found.message}"),
    )


def due(view: View, number: int) -> StageStatus:
    """An attempt is to be started; nothing of it is seen yet."""
    return replace(
        view.before,
        state=State.PENDING,
        reason="PodNotCreated",
        message="the pod is not created yet",
        attempt=number,
        retryAt="",
        pod="",
        node="",
        startedAt="",
        finishedAt="",
    )


def shortened(message: str) -> str:
    """At most MESSAGE_LIMIT characters: beginning and end, as the cause may stand at either."""
    if len(message) <= MESSAGE_LIMIT:
        return message
    half = MESSAGE_LIMIT // 2 - 2
    return f"{message[:half]} … {message[-half:]}"


def ended_at(view: View, attempt: AttemptSeen) -> datetime:
    """When the attempt's pod ended, as far as that was seen."""
    return attempt.pod.finishedAt if attempt.pod and attempt.pod.finishedAt else view.now


def _seconds(attempt: AttemptSeen) -> float:
    pod = attempt.pod
    if pod is None or pod.startedAt is None or pod.finishedAt is None:
        return 0.0
    return (pod.finishedAt - pod.startedAt).total_seconds()


def _gpu_seconds(view: View, attempt: AttemptSeen) -> int:
    count = view.seen.job.spec.gpu.count if view.stage.gpu else 0
    return round(_seconds(attempt) * count)
