"""Two jobs that need the same artifact at once: one makes it, the other waits and takes over.

Whoever has begun goes on; of two that have, the older one. An attempt that cannot begin (it asks
for a GPU that no node has, its queue gives nothing) is no reason to wait unless ours would be made
just like it. A pod that outlasts its attempt makes nothing, but may still be writing where the next
would: everybody waits until it is gone.
"""

from datetime import datetime, timedelta
from typing import Final

from olive_operator import build, labels
from olive_operator.api.seen import AttemptSeen, Builder
from olive_operator.api.status import StageStatus, State, Status
from olive_operator.plan import limits, volumes
from olive_operator.plan.graph import claim_of
from olive_operator.plan.pods import POD_REFUSED, pending
from olive_operator.plan.view import View
from olive_operator.plan.waits import FOR_INPUTS

PATIENCE: Final = timedelta(minutes=5)
"""For a pod to be made, if nobody tells why it is not: Kubernetes' own controllers may be behind,
and then ours would come no sooner, and all at once."""
UNSEEN: Final = timedelta(seconds=10)
"""For an attempt that was asked for to be seen. One that is refused never is."""


def builder(view: View) -> Builder | None:
    """The other job's attempt that a stage with none under way leaves the work to, or waits for."""
    other = view.seen.others.get(view.address.name)
    if other is None or other.attempt.begun or other.reserved or other.ending:
        return other
    if _stuck(other, view.now):
        return other if _nowhere(other) and _template(view) in other.asked else None
    return other


def next_look(other: Builder, now: datetime) -> datetime | None:
    """When an attempt that does not come, or does not begin, is no reason to wait any more."""
    attempt = other.attempt
    if other.reserved:
        return now + UNSEEN
    if attempt.begun or other.ending or _stuck(other, now):
        return None
    if attempt.pod:
        return limits.stalls_at(attempt.pod)
    return attempt.createdAt + PATIENCE if attempt.createdAt else None


def ahead_of(attempt: AttemptSeen, view: View) -> Builder | None:
    """The other job's attempt that an attempt of ours has to give way to."""
    other = view.seen.others.get(view.address.name)
    if other is None or other.ending or not other.attempt.begun:
        return None
    if attempt.begun and _age(attempt) < _age(other.attempt):
        return None
    return other


def freed(before: Status, after: Status) -> set[str]:
    """Addresses at which others may begin, as this job's status now is: an attempt has ended, or
    gets no pod, or it is not known any more whether it is wanted."""
    known = {stage.name: stage for stage in before.stages}
    addresses = set[str]()
    for stage in after.stages:
        was = known.get(stage.name) or StageStatus(stage.name, State.WAITING)
        gives_up = stage.reason in (POD_REFUSED, FOR_INPUTS) and stage.reason != was.reason
        if gives_up or _ended(stage) > _ended(was):
            addresses |= {was.address, stage.address} - {""}
    return addresses


def _ended(stage: StageStatus) -> tuple[int, bool]:
    """How far it is told what has come of the attempts."""
    return stage.endedAttempt, bool(stage.finishedAt)


def _stuck(other: Builder, now: datetime) -> bool:
    """It may never begin, for reasons that need not be ours."""
    attempt = other.attempt
    if _nowhere(other):
        return True
    if attempt.pod is None:
        return attempt.createdAt is not None and attempt.createdAt + PATIENCE <= now
    return bool(limits.stalled(attempt.pod, now)) or pending(attempt.pod, None).stalled


def _nowhere(other: Builder) -> bool:
    """There is no place for a pod like its."""
    pod = other.attempt.pod
    return other.attempt.suspended or (bool(pod.unschedulable) if pod else other.refused)


def _template(view: View) -> str:
    """The hash of the pod that an attempt of ours would have."""
    store = volumes.mount(claim_of(view.seen.job.spec), view.seen, view.config)
    less = view.before.less
    made = build.attempt(view.seen.job, view.stage, view.address, 1, store, view.config, less)
    return str(made["metadata"]["annotations"][labels.TEMPLATE])


def _age(attempt: AttemptSeen) -> tuple[str, str]:
    created = attempt.createdAt.isoformat() if attempt.createdAt else "9"
    return created, attempt.name
