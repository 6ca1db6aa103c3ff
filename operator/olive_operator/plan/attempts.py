"""A job's attempts at its stages: which counts, and of which the status tells already."""

from collections.abc import Iterable

from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.api.status import StageStatus
from olive_operator.plan.graph import claim_of


def told(stage: StageStatus, attempt: AttemptSeen) -> bool:
    """Whether the stage's status tells what has come of an attempt at its address.

    The end of one that is withdrawn, or out of time, is counted before it has ended; it may make
    its artifact before anybody can end it, and of that the status does not tell.
    """
    if attempt.number == stage.attempt == stage.endedAttempt and not stage.finishedAt:
        return attempt.made is None
    return attempt.number < max(stage.attempt, stage.endedAttempt + 1)


def at_work(address: str, seen: Seen) -> list[AttemptSeen]:
    """The job's attempts at this work, also those of stages that make or have made the same."""
    work = address, claim_of(seen.job.spec)
    return [a for a in seen.attempts if (a.address, a.claim) == work]


def latest(stage: str, attempts: Iterable[AttemptSeen]) -> AttemptSeen | None:
    """The stage's own, with the highest number."""
    return max((a for a in attempts if a.stage == stage), key=lambda a: a.number, default=None)


def unsettled(stage: StageStatus, seen: Seen) -> AttemptSeen | None:
    """The attempt at what the stage was last asked to make, if it is under way, or has made it and
    the status does not tell so."""
    if stage.attempt == stage.endedAttempt and (stage.finishedAt or not stage.attempt):
        return None  # as of most that wait
    there = (a for a in at_work(stage.address, seen) if a.made or not (a.deleting or a.ended))
    return latest(stage.name, (a for a in there if not told(stage, a)))


def under_way(stage: StageStatus, seen: Seen) -> AttemptSeen | None:
    """The attempt at what the stage was last asked to make, if it has not ended."""
    attempt = unsettled(stage, seen)
    return attempt if attempt and not attempt.ended else None
