"""Kubernetes' Events of type Warning, and which stage each is about: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from olive_cli.job.view import Body, Job, Stage
from olive_operator import names

TOLD = 2
"""Events of a stage that are worth telling, the newest."""


@dataclass(frozen=True)
class Warned:
    """An Event. ``of``: the name of what it is about; ``at``: when it was seen last."""

    of: str
    reason: str
    message: str
    count: int
    at: str

    @property
    def sentence(self) -> str:
        often = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.reason}: {self.message}{often}"


def warned(body: Body) -> Warned:
    """Of an Event, by whichever of its APIs it was written."""
    series = body.get("series") or {}
    seen = series.get("lastObservedTime") or body.get("lastTimestamp") or body.get("eventTime")
    return Warned(
        of=str(body["involvedObject"].get("name", "")),
        reason=str(body.get("reason", "")),
        message=" ".join(str(body.get("message", "")).split()),
        count=int(series.get("count") or body.get("count") or 1),
        at=str(seen or ""),
    )


def about(events: Sequence[Warned], found: Job, stage: Stage) -> list[Warned]:
    """The newest about a stage's present attempt, its batch/v1 Job or its pod."""
    if stage.state not in ("Pending", "Running") or stage.again or not stage.attempt:
        return []
    claim = found.claim or names.DEFAULT_CLAIM
    attempt = names.attempt(found.name, found.uid, stage.name, stage.address, claim, stage.attempt)
    ours = [e for e in events if e.of == attempt or e.of.startswith(f"{attempt}-")]
    ours += [e for e in events if stage.pod and e.of == stage.pod and e not in ours]
    return sorted(ours, key=lambda e: e.at)[-TOLD:]
