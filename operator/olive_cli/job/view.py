"""What a job's body says, as a person is to see it: pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Body = Mapping[str, Any]
"""An object of the API server, as JSON has it."""


@dataclass(frozen=True)
class Stage:
    """One stage. ``seconds`` is what it took; one that runs has ``started``; ``again``: a retry.

    ``failures`` count against the limit; ``failure`` is what the last of them said;
    ``published`` the name of the version that it has published; ``address`` what it is to make.
    """

    name: str
    state: str
    reason: str = ""
    message: str = ""
    cached: bool = False
    attempt: int = 0
    percent: int | None = None
    remaining: int | None = None
    loss: float | None = None
    started: datetime | None = None
    seconds: float = 0.0
    gpu_seconds: int = 0
    pod: str = ""
    again: datetime | None = None
    failures: int = 0
    failure: str = ""
    published: str = ""
    address: str = ""


@dataclass(frozen=True)
class Serving:
    """The serving: replicas that are ready of those asked for, and adapters by their state."""

    url: str
    ready: int
    replicas: int
    adapters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Verdict:
    """How a job that is at rest has come out."""

    ok: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Job:
    """A job's status. ``verdict`` is None as long as the operator has something to do.

    ``suspended`` is what the spec asks for; the operator follows a moment later. ``reason`` and
    ``message`` are those of the conditions, which all have the same. ``spec`` is as it is written.
    """

    namespace: str
    name: str
    phase: str
    progress: str
    gpu_seconds: int
    stages: tuple[Stage, ...]
    serving: Serving | None
    verdict: Verdict | None
    suspended: bool = False
    uid: str = ""
    claim: str = ""
    reason: str = ""
    message: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    planned: bool = True
    """The status is about the newest spec."""
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def in_the_way(self) -> list[Stage]:
        """The stages that have failed or say nothing any more, whose log may tell more."""
        return [s for s in self.stages if s.state == "Failed" or s.reason == "NoProgress"]


def job(body: Body) -> Job:
    """The job that an OptimizationJob's body describes."""
    meta, status = body["metadata"], body.get("status", {})
    serving, generation = status.get("serving"), meta.get("generation", 0)
    about: Mapping[str, Any] = next(iter(status.get("conditions", ())), {})
    return Job(
        namespace=meta["namespace"],
        name=meta["name"],
        phase=status.get("phase", ""),
        progress=status.get("progress", ""),
        gpu_seconds=status.get("gpuSeconds", 0),
        stages=tuple(_stage(s) for s in status.get("stages", ())),
        serving=_serving(serving) if serving else None,
        verdict=_verdict(generation, status.get("conditions", ())),
        suspended=body.get("spec", {}).get("suspend", False),
        uid=meta.get("uid", ""),
        claim=status.get("claim", ""),
        reason=about.get("reason", ""),
        message=about.get("message", ""),
        started=_instant(status.get("startedAt")),
        finished=_instant(status.get("finishedAt")),
        planned=status.get("observedGeneration", 0) >= generation,
        spec=body.get("spec", {}),
    )


def _stage(body: Body) -> Stage:
    return Stage(
        name=body["name"],
        state=body.get("state", ""),
        reason=body.get("reason", ""),
        message=body.get("message", ""),
        cached=body.get("cached", False),
        attempt=body.get("attempt", 0),
        percent=body.get("percent"),
        remaining=body.get("remainingSeconds"),
        loss=body.get("loss"),
        started=_instant(body.get("startedAt")),
        seconds=body.get("seconds", 0.0),
        gpu_seconds=body.get("gpuSeconds", 0),
        pod=body.get("pod", ""),
        again=_instant(body.get("retryAt")),
        failures=body.get("failures", 0),
        failure=body.get("lastFailure", ""),
        published=body.get("published", {}).get("reference", ""),
        address=body.get("address", ""),
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _serving(body: Body) -> Serving:
    adapters = tuple((a["name"], a.get("state", "Loading")) for a in body.get("adapters", ()))
    return Serving(
        body.get("url", ""), body.get("readyReplicas", 0), body.get("replicas", 0), adapters
    )


def _verdict(generation: int, conditions: Any) -> Verdict | None:
    """By the conditions alone, and only by those that know the newest spec."""
    for condition in conditions:
        if condition["status"] == "True" and condition.get("observedGeneration", 0) >= generation:
            if condition["type"] == "Ready":
                return Verdict(True, condition["reason"], condition["message"])
            if condition["type"] == "Stalled":
                return Verdict(False, condition["reason"], condition["message"])
    return None
