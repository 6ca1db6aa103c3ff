"""A stage's status in each of its states: what a person reads of it, and what is remembered."""

from dataclasses import dataclass, replace
from datetime import datetime

from olive_contract.stage import Report
from olive_operator import names
from olive_operator.api.seen import AttemptSeen, Builder, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.config import Config
from olive_operator.plan import pods
from olive_operator.plan.clock import instant, text
from olive_operator.plan.graph import claim_of
from olive_operator.plan.pods import Failure, Pending
from olive_operator.plan.retries import POLICY, Action

SHARED = "BuiltByAnotherJob"
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
    status = _without_work(view, "Cached", "the artifact was in the store")
    return replace(status, metrics=dict(view.seen.artifacts[view.address.key].metrics))


def unneeded(view: View) -> StageStatus:
    """Nothing that is to be made reads it, so it is not made."""
    return _without_work(view, "NotNeeded", "all that is made from it is in the store")


def _without_work(view: View, reason: str, message: str) -> StageStatus:
    """Done, without an attempt; what attempts there were before stay counted."""
    before = view.before
    return StageStatus(
        view.stage.name,
        State.SUCCEEDED,
        reason,
        message,
        address=view.address.name,
        key=view.address.key,
        cached=True,
        attempt=before.attempt,
        failures=before.failures,
        endedAttempt=max(before.endedAttempt, view.attempt.number if view.attempt else 0),
        gpuSeconds=before.gpuSeconds,
        finishedAt=text(view.now),
        lastFailure=before.lastFailure,
    )


def suspended(view: View, attempt: AttemptSeen | None) -> StageStatus:
    """Not to be worked on now; an attempt under way is ended, and that is no failure."""
    status = _withdrawn(view, attempt) if attempt else view.before
    return replace(
        status,
        state=State.WAITING,
        reason="Suspended",
        message="set spec.suspend to false and it goes on",
    )


def shared(view: View, other: Builder, attempt: AttemptSeen | None = None) -> StageStatus:
    """Another job makes the same artifact now; an attempt of ours that is behind is ended."""
    status = _withdrawn(view, attempt) if attempt else view.before
    doing = "runs" if other.attempt.begun else "has the pod for it"
    return replace(
        status,
        state=State.PENDING,
        reason=SHARED,
        message=f"job {other.job} makes the same artifact and {doing}; it is made once",
        retryAt="",
    )


def twin(status: StageStatus, maker: str) -> StageStatus:
    """Another stage of the job makes the same artifact: two adapters on one data set, say."""
    return replace(
        status,
        state=State.PENDING,
        reason="BuiltByAnotherStage",
        message=f"{maker} makes the same artifact; it is made once",
        attempt=status.endedAttempt,
        pod="",
        node="",
    )


def _withdrawn(view: View, attempt: AttemptSeen) -> StageStatus:
    """The attempt is ended by us, and does not count as a failure."""
    return replace(
        view.before,
        attempt=attempt.number,
        endedAttempt=attempt.number,
        gpuSeconds=view.before.gpuSeconds + _gpu_seconds(view, attempt),
        percent=None,
        remainingSeconds=None,
        progressedAt="",
        pod="",
        node="",
    )


def held_back(view: View, why: Pending) -> StageStatus:
    """Due, but its pod could not work on the volume now."""
    return replace(view.before, state=State.PENDING, reason=why.reason, message=why.message)


def sweeping(view: View, attempt: AttemptSeen | None = None) -> StageStatus:
    """What it is to make is being removed from the store; what the attempt has made goes too."""
    status = _withdrawn(view, attempt) if attempt else view.before
    return replace(
        status,
        state=State.PENDING,
        reason="StoreSweeping",
        message="the unused artifact is being removed from the store; then it is made again",
        retryAt="",
    )


def waits_for_end(view: View, last: AttemptSeen) -> StageStatus:
    """Due, but the pod of the last attempt is still there and may be writing."""
    return replace(
        view.before,
        state=State.PENDING,
        reason="LastAttemptEnding",
        message=f"the pod of attempt {last.number} is being ended",
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
        why = _why_pending(view, attempt)
        return replace(
            base,
            state=State.PENDING,
            reason=why.reason,
            message=why.message,
            gpuSeconds=base.gpuSeconds + _taken_back(view, attempt),
            percent=None,
            remainingSeconds=None,
        )
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


def _why_pending(view: View, attempt: AttemptSeen) -> Pending:
    seen, job = view.seen, view.seen.job
    if attempt.suspended:
        return pods.no_queue(seen.queue) or pods.queued(job.spec.queue or "")
    pod = None if attempt.pod and attempt.pod.deleting else attempt.pod  # another is to come
    if pod is None and (refused := seen.refused.get(attempt.name)):
        return pods.refused(refused)
    if pod is None and (said := seen.said.get(attempt.name)):
        return pods.not_created(said)
    found = pods.pending(pod, job.spec.gpu if view.stage.gpu else None)
    return pods.of_volume(found, claim_of(job.spec), seen.holders)


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
        seconds=round(max(_seconds(attempt, view.now), report.seconds), 1),
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
        seconds=round(_seconds(attempt, view.now), 1),
        gpuSeconds=before.gpuSeconds + _gpu_seconds(view, attempt),
        percent=None,
        remainingSeconds=None,
        progressedAt="",
        less=before.less + (POLICY[found.failure].action == Action.RETRY_WITH_LESS),
        lastFailure=shortened(f"{found.failure.value}: {found.message}"),
    )


def due(view: View, number: int) -> StageStatus:
    """An attempt is to be started; nothing of it is seen yet."""
    stage, job = view.stage, view.seen.job
    name = names.attempt(
        job.name, job.uid, stage.name, view.address.name, claim_of(job.spec), number
    )
    refused = view.seen.refused.get(name)
    why = pods.refused(refused) if refused else pods.pending(None, None)
    return replace(
        view.before,
        state=State.PENDING,
        reason=why.reason,
        message=why.message,
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


def spent_in_vain(stage: Stage, before: StageStatus, seen: Seen, now: datetime) -> int:
    """GPU seconds of an attempt under way at what an edit has made useless."""
    count = seen.job.spec.gpu.count if stage.gpu else 0
    return sum(
        round(_seconds(a, now) * count)
        for a in seen.attempts
        if (a.stage, a.address) == (stage.name, before.address)
        and a.number > before.endedAttempt
        and not a.deleting
    )


def _seconds(attempt: AttemptSeen, now: datetime) -> float:
    """How long its pod ran, or has run so far."""
    pod = attempt.pod
    if pod is None or pod.startedAt is None:
        return 0.0
    return max(((pod.finishedAt or now) - pod.startedAt).total_seconds(), 0.0)


def _taken_back(view: View, attempt: AttemptSeen) -> int:
    """GPU seconds of a run that the queue has ended, counted when that is seen first."""
    before, pod = view.before, attempt.pod
    if before.state != State.RUNNING or not before.startedAt:
        return 0
    ended = pod.finishedAt if pod and pod.finishedAt else view.now
    count = view.seen.job.spec.gpu.count if view.stage.gpu else 0
    return round(max((ended - instant(before.startedAt)).total_seconds(), 0.0) * count)


def _gpu_seconds(view: View, attempt: AttemptSeen) -> int:
    count = view.seen.job.spec.gpu.count if view.stage.gpu else 0
    return round(_seconds(attempt, view.now) * count)
