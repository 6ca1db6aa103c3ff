"""Time limits of an attempt under way: to pull its image, to begin, to run, to say something.

The operator keeps them, not the kubelet, so that an edit of the limit holds for a pod that runs.
A pod's start is by its node's clock; one that lies before the pod's creation is not believed.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from olive_contract.failures import FailureClass
from olive_operator.api.duration import parsed, spoken
from olive_operator.api.seen import AttemptSeen, PodSeen
from olive_operator.api.status import StageStatus, State
from olive_operator.plan import pods
from olive_operator.plan.clock import instant, text
from olive_operator.plan.pods import Failure, Pending
from olive_operator.plan.view import View

NO_PROGRESS = "NoProgress"
"""The reason of a running stage that has said nothing new for too long; its job is Stalled."""
STALLED_AFTER: Final = timedelta(minutes=10)
"""On its node, a pod whose container does not begin (a volume that is not mounted, no sandbox) is
first told of, while somebody can look at it: pulling a large image looks the same."""
BEGINS_WITHIN: Final = timedelta(minutes=30)
"""Then it is ended; it may be holding a volume, and other jobs may wait for it."""


def overdue(view: View, attempt: AttemptSeen) -> Failure | None:
    """Why the attempt is to be ended now, if it is."""
    pod = attempt.pod
    if pod is None:
        return None
    if pod.running and (until := _runs_until(view, pod)) and until <= view.now:
        span = spoken(_timeout(view))
        return Failure(
            FailureClass.TIMEOUT,
            f"it ran for {span}, the limit of {view.stage.kind} stages "
            f"(spec.timeouts.{view.stage.kind})",
        )
    if (until := _pulls_until(view, pod)) and until <= view.now:
        return Failure(FailureClass.IMAGE_PULL, pods.pending(pod, None).message)
    if (since := _beginning_since(pod)) and since + BEGINS_WITHIN <= view.now:
        # A limit of time, and no fault of the stage's; another node may do, but not for ever.
        return Failure(FailureClass.TIMEOUT, pods.not_begun(pod, spoken(BEGINS_WITHIN)).message)
    return None


def stalled(pod: PodSeen, now: datetime) -> Pending | None:
    """Why the pod may never begin, though it has a node and nothing is known to be missing."""
    since = _beginning_since(pod)
    if since is None or now < since + STALLED_AFTER:
        return None
    return pods.not_begun(pod, spoken(STALLED_AFTER))


def stalls_at(pod: PodSeen) -> datetime | None:
    """When that will be said of it if it does not begin until then."""
    since = _beginning_since(pod)
    return since + STALLED_AFTER if since else None


def watched(view: View, status: StageStatus) -> StageStatus:
    """The status with the instant of the last progress, and what follows if it is long ago."""
    if status.state != State.RUNNING:
        pod = view.attempt.pod if view.attempt else None
        if pod and (why := stalled(pod, view.now)):
            status = replace(status, reason=why.reason, message=why.message)
        return replace(status, progressedAt="")
    before = view.before
    if not before.progressedAt or _said(before) != _said(status):
        return replace(status, progressedAt=text(view.now))
    status = replace(status, progressedAt=before.progressedAt)
    deadline = _silence(view)
    if deadline and instant(before.progressedAt) + deadline <= view.now:
        message = (
            f"no progress since {before.progressedAt} ({spoken(deadline)} are allowed); it still "
            f"runs: read the log of pod {status.pod}"
        )
        return replace(status, reason=NO_PROGRESS, message=message)
    return status


def next_look(view: View, attempt: AttemptSeen, status: StageStatus) -> datetime | None:
    """When one of the limits is reached if nothing is heard until then."""
    pod = attempt.pod
    if pod is None:
        return None
    instants = [_pulls_until(view, pod)]
    if since := _beginning_since(pod):
        instants += [at for d in (STALLED_AFTER, BEGINS_WITHIN) if (at := since + d) > view.now]
    if pod.running:
        instants.append(_runs_until(view, pod))
    if status.progressedAt and status.reason != NO_PROGRESS and (silence := _silence(view)):
        instants.append(instant(status.progressedAt) + silence)
    return min((at for at in instants if at), default=None)


def _said(status: StageStatus) -> tuple[object, ...]:
    return status.attempt, status.percent, status.loss


def _timeout(view: View) -> timedelta:
    own, kind = view.seen.job.spec.timeouts, view.stage.kind
    return parsed(own.get(kind) or view.config.timeouts[kind])


def _silence(view: View) -> timedelta:
    return parsed(view.seen.job.spec.progressDeadline or view.config.progressDeadline)


def _runs_until(view: View, pod: PodSeen) -> datetime | None:
    started = max((at for at in (pod.startedAt, pod.createdAt) if at), default=None)
    return started + _timeout(view) if started else None


def _pulls_until(view: View, pod: PodSeen) -> datetime | None:
    placed = _placed(pod)
    if pod.waiting not in pods.IMAGE_WAITS or placed is None:
        return None
    if pod.waiting in pods.IMAGE_NEVER:
        return view.now
    return placed + parsed(view.config.imagePullDeadline)


def _beginning_since(pod: PodSeen) -> datetime | None:
    """Since when its node has only to begin with it; None if it has, or if something is missing."""
    begun = pod.running or pod.startedAt or pod.deleting
    if begun or not pod.node or pods.pending(pod, None).stalled:
        return None
    return _placed(pod)


def _placed(pod: PodSeen) -> datetime | None:
    """Since when it has its node: it may have waited for that for days."""
    return max((at for at in (pod.createdAt, pod.placedAt) if at), default=None)
