"""The status of an OptimizationJob: what the operator has seen and done.

It is also the operator's only memory of attempts: children may be deleted, the counts stay.
"""

from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from olive_contract.serial import decode
from olive_contract.stage import Published


class State(StrEnum):
    """A stage waits for inputs, has a pod pending or running, or is at its end."""

    WAITING = "Waiting"
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


UNDER_WAY: Final = (State.PENDING, State.RUNNING)
"""States in which something goes on; where no stage is in one, those that wait wait for ever."""


class Phase(StrEnum):
    """The job in one word, for people; never an input."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    READY = "Ready"
    FAILED = "Failed"


GATE_FAILED: Final = "GateFailed"
"""The reason of an evaluation that is done and has not passed the job's gates."""


@dataclass(frozen=True)
class StageStatus:
    """One stage. ``address`` is what attempts are counted for: the key, or a fetch's request."""

    name: str
    state: State
    reason: str = ""
    message: str = ""
    address: str = ""
    key: str = ""
    cached: bool = False
    attempt: int = 0
    failures: int = 0
    endedAttempt: int = 0
    less: int = 0
    retryAt: str = ""
    pod: str = ""
    node: str = ""
    startedAt: str = ""
    finishedAt: str = ""
    seconds: float = 0.0
    gpuSeconds: int = 0
    percent: int | None = None
    remainingSeconds: int | None = None
    loss: float | None = None
    progressedAt: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    published: Published | None = None
    lastFailure: str = ""

    @property
    def kind(self) -> str:
        """The stage's kind: what its name begins with."""
        return self.name.partition("/")[0]

    @property
    def missed_gate(self) -> bool:
        """It was measured, and what was measured holds its adapter (or the base) back."""
        return self.state == State.SUCCEEDED and self.reason == GATE_FAILED


@dataclass(frozen=True)
class Source:
    """What a fetch's request was found to be: the key of the fetched content."""

    request: str
    key: str


@dataclass(frozen=True)
class AdapterStatus:
    name: str
    key: str
    state: str = "Loading"


@dataclass(frozen=True)
class ServingStatus:
    url: str = ""
    replicas: int = 0
    readyReplicas: int = 0
    model: str = ""
    claim: str = ""
    adapters: tuple[AdapterStatus, ...] = ()


@dataclass(frozen=True)
class Condition:
    type: str
    status: str
    reason: str
    message: str
    lastTransitionTime: str
    observedGeneration: int = 0


@dataclass(frozen=True)
class Status:
    observedGeneration: int = 0
    claim: str = ""
    phase: str = ""
    stage: str = ""
    progress: str = ""
    gpuSeconds: int = 0
    startedAt: str = ""
    finishedAt: str = ""
    retriedAt: str = ""
    sources: tuple[Source, ...] = ()
    stages: tuple[StageStatus, ...] = ()
    serving: ServingStatus | None = None
    conditions: tuple[Condition, ...] = ()

    @staticmethod
    def from_body(body: dict[str, Any]) -> "Status":
        """ValueError names the field that does not fit."""
        return decode(Status, body, "status")

    def to_body(self) -> dict[str, Any]:
        """Plain JSON values, of which from_body makes the same again: defaults are left out."""
        return {**_body(self), "gpuSeconds": self.gpuSeconds}

    def stage_named(self, name: str) -> StageStatus | None:
        return next((s for s in self.stages if s.name == name), None)

    def condition(self, kind: str) -> Condition | None:
        return next((c for c in self.conditions if c.type == kind), None)


_TOLD_AT_ZERO: Final = frozenset({"observedGeneration", "replicas", "readyReplicas"})


def _body(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_body(v) for v in value]
    if not is_dataclass(value):
        return value
    known = _defaults(type(value))  # type: ignore[arg-type]  # a class is hashable
    return {
        name: _body(found)
        for name, default in known
        if (found := getattr(value, name)) != default or name in _TOLD_AT_ZERO
    }


@cache
def _defaults(of: type[Any]) -> tuple[tuple[str, Any], ...]:
    """The fields and their defaults; what has none equals nothing."""
    return tuple(
        (f.name, f.default if f.default_factory is MISSING else f.default_factory())
        for f in fields(of)
    )
