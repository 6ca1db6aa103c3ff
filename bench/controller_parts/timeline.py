"""When every stage was seen to finish and every child Job to be created, and what follows from it.

Pure. Instants are seconds of the machine's monotonic clock, which all processes share.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

StageOf = tuple[str, str]
"""A job (namespace/name) and one of its stages."""


@dataclass(frozen=True)
class Event:
    """What a watch client saw: a stage's pod has ended, or a stage's Job is there."""

    at: float
    what: Literal["finished", "created"]
    job: str
    stage: str


@dataclass(frozen=True)
class FollowUp:
    """A stage's Job was created, so long after the last of its inputs was finished."""

    finished: float
    created: float

    @property
    def seconds(self) -> float:
        return self.created - self.finished


@dataclass
class Timeline:
    """``inputs``: of every stage of a job, the stages that have to be done before it."""

    inputs: Mapping[str, frozenset[str]]
    finished: dict[StageOf, float] = field(default_factory=dict)
    created: dict[StageOf, list[float]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Of a stage that finishes twice the first time counts."""
        stage = (event.job, event.stage)
        if event.what == "finished":
            self.finished.setdefault(stage, event.at)
        else:
            self.created.setdefault(stage, []).append(event.at)

    @property
    def doubled(self) -> list[StageOf]:
        """Stages with more than one attempt: nothing fails here, so there is no reason for one."""
        return [stage for stage, times in self.created.items() if len(times) > 1]

    @property
    def creations(self) -> list[float]:
        """When Jobs were created, of every stage."""
        return [at for times in list(self.created.values()) for at in times]

    @property
    def first(self) -> list[float]:
        """When the Jobs were created that wait for no other stage."""
        created = list(self.created.items())  # at once: events are added by another thread
        return [at[0] for (_, name), at in created if not self.inputs[name]]

    def follow_ups(self) -> list[FollowUp]:
        """All other Jobs, by the finish that they were due at."""
        found = []
        for (job, name), times in self.created.items():
            inputs = [self.finished.get((job, before), math.nan) for before in self.inputs[name]]
            if inputs:
                found.append(FollowUp(max(inputs), times[0]))
        return sorted(found, key=lambda one: one.finished)


@dataclass(frozen=True)
class Restart:
    """The operator was killed and started again; seconds are from the start.

    ``unanswered``: Jobs that were due by then and not there. ``first_s`` until the first of them,
    ``all_s`` until the last.
    """

    unanswered: int
    first_s: float
    all_s: float

    @staticmethod
    def of(follow_ups: Iterable[FollowUp], started: float) -> "Restart":
        late = [f.created - started for f in follow_ups if f.finished < started <= f.created]
        return Restart(len(late), min(late, default=0.0), max(late, default=0.0))


def answered(
    follow_ups: Iterable[FollowUp], since: float, killed: float, caught_up: float
) -> list[float]:
    """Seconds of those that were due while the operator was up."""
    return [
        f.seconds
        for f in follow_ups
        if f.finished > since and (f.created < killed or f.finished > caught_up)
    ]


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed; nan of none."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * share) - 1, 0)] if ranked else math.nan


def rate(times: Iterable[float]) -> float:
    """How many in a second, from the first to the last."""
    ranked = sorted(times)
    return (len(ranked) - 1) / (ranked[-1] - ranked[0]) if len(ranked) > 1 else math.nan
