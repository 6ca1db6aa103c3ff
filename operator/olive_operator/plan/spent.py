"""What an attempt has taken: the time of its pod, and that of its GPUs."""

from datetime import datetime

from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.api.stage import Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.plan.clock import instant
from olive_operator.plan.view import View


def ended_at(view: View, attempt: AttemptSeen) -> datetime:
    """When the attempt's pod ended, as far as that was seen."""
    return attempt.pod.finishedAt if attempt.pod and attempt.pod.finishedAt else view.now


def in_vain(stage: Stage, before: StageStatus, seen: Seen, now: datetime) -> int:
    """GPU seconds of an attempt under way at what an edit has made useless."""
    count = seen.job.spec.gpu.count if stage.gpu else 0
    return sum(
        round(seconds(a, now) * count)
        for a in seen.attempts
        if (a.stage, a.address) == (stage.name, before.address)
        and a.number > before.endedAttempt
        and not a.deleting
    )


def seconds(attempt: AttemptSeen, now: datetime) -> float:
    """How long its pod ran, or has run so far."""
    pod = attempt.pod
    if pod is None or pod.startedAt is None:
        return 0.0
    return max(((pod.finishedAt or now) - pod.startedAt).total_seconds(), 0.0)


def taken_back(view: View, attempt: AttemptSeen) -> int:
    """GPU seconds of a run that the queue has ended, counted when that is seen first."""
    before, pod = view.before, attempt.pod
    if before.state != State.RUNNING or not before.startedAt:
        return 0
    ended = pod.finishedAt if pod and pod.finishedAt else view.now
    count = view.seen.job.spec.gpu.count if view.stage.gpu else 0
    return round(max((ended - instant(before.startedAt)).total_seconds(), 0.0) * count)


def gpu_seconds(view: View, attempt: AttemptSeen) -> int:
    count = view.seen.job.spec.gpu.count if view.stage.gpu else 0
    return round(seconds(attempt, view.now) * count)
