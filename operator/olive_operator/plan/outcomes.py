"""A stage's status by what has come of its attempts: under way, done, failed, or not needed."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from olive_contract.stage import Report
from olive_operator import names
from olive_operator.api.seen import AttemptSeen, Ref
from olive_operator.api.status import StageStatus, State
from olive_operator.plan import pods
from olive_operator.plan.clock import text
from olive_operator.plan.graph import claim_of
from olive_operator.plan.pods import Failure, Pending
from olive_operator.plan.retries import POLICY, Action
from olive_operator.plan.spent import ended_at, gpu_seconds, seconds, taken_back
from olive_operator.plan.view import View

MESSAGE_LIMIT: Final = 1024
"""Characters of a message in the status; the log has the rest."""


def cached(view: View) -> StageStatus:
    """The store had the artifact; nothing was run for it."""
    status = _without_work(view, "Cached", "the artifact was in the store")
    artifact = view.seen.artifacts[view.address.key]
    return replace(status, metrics=dict(artifact.metrics), published=artifact.published)


def unneeded(view: View) -> StageStatus:
    """Nothing that is to be made reads it, so it is not made; an attempt under way is ended."""
    status = _without_work(view, "NotNeeded", "all that is made from it is in the store")
    return replace(status, finishedAt=view.before.finishedAt)


def _without_work(view: View, reason: str, message: str) -> StageStatus:
    """Done, without an attempt; what attempts there were before stay counted."""
    before, last = view.before, view.attempt.number if view.attempt else 0
    return StageStatus(
        view.stage.name,
        State.SUCCEEDED,
        reason,
        message,
        address=view.address.name,
        key=view.address.key,
        cached=True,
        attempt=max(before.attempt, last),
        failures=before.failures,
        endedAttempt=max(before.endedAttempt, last),
        gpuSeconds=before.gpuSeconds,
        finishedAt=text(view.now),
        lastFailure=before.lastFailure,
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
            gpuSeconds=base.gpuSeconds + taken_back(view, attempt),
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
    if pod is None and (refused := seen.refused.get(Ref("Job", attempt.name))):
        return pods.refused(refused)
    if pod is None and (said := seen.said.get(attempt.name)):
        return pods.not_created(said)
    found = pods.pending(pod, job.spec.gpu if view.stage.gpu else None)
    return pods.of_volume(found, claim_of(job.spec), seen.holders)


def succeeded(view: View, attempt: AttemptSeen, report: Report) -> StageStatus:
    """The attempt has made the artifact, or found it in the store."""
    pod, uncounted = attempt.pod, attempt.number > view.before.endedAttempt
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
        seconds=round(max(seconds(attempt, view.now), report.seconds), 1),
        gpuSeconds=view.before.gpuSeconds + (gpu_seconds(view, attempt) if uncounted else 0),
        metrics=report.metrics,
        published=report.published,
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
        finishedAt=text(ended_at(view, attempt)) if attempt.ended else "",
        seconds=round(seconds(attempt, view.now), 1),
        gpuSeconds=before.gpuSeconds + gpu_seconds(view, attempt),
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
    refused = view.seen.refused.get(Ref("Job", name))
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
