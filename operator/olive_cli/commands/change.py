"""``kubectl olive retry``, ``suspend`` and ``resume``: what is patched, and what is said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from olive_cli.job import words
from olive_cli.job.view import Body, Job, Stage, job

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

RETRY = "olive-operator.io/retry"
"""The annotation: with each new value what has failed is due again."""


@dataclass(frozen=True)
class Change:
    """A merge patch of the job, empty if nothing is to change, and what a person is told."""

    patch: Mapping[str, Any]
    said: str


def change(cluster: "Cluster", name: str, command: str) -> str:
    """Carry out ``retry``, ``suspend`` or ``resume``; what came of it."""
    body = cluster.found(name)
    wanted = retry(body, datetime.now(UTC)) if command == "retry" else _CHANGES[command](body)
    if wanted.patch:
        cluster.job(name).patch(wanted.patch)
    return wanted.said


def retry(body: Body, now: datetime) -> Change:
    """A new value of the annotation, if a stage has failed or waits for its next attempt."""
    found = job(body)
    again = [s for s in found.stages if s.failures and s.state != "Succeeded"]
    gates = [s for s in found.stages if s.reason == "GateFailed"]
    if not again:
        nothing = f"{found.name}: no stage has failed; nothing is changed"
        return Change({}, "\n".join([nothing, *map(_gate, gates)]))
    lines = [f"{found.name}: tried again, with a fresh count of failures:", *map(_failed, again)]
    if found.suspended:
        lines.append(f"as soon as it is resumed: {_command(found, 'resume')}")
    patch = {"metadata": {"annotations": {RETRY: now.isoformat()}}}
    return Change(patch, "\n".join([*lines, *map(_gate, gates)]))


def suspend(body: Body) -> Change:
    """Nothing runs any more."""
    found = job(body)
    if found.suspended:
        return Change({}, f"{found.name} is suspended already")
    return Change({"spec": {"suspend": True}}, "\n".join(_suspended(found)))


def resume(body: Body) -> Change:
    """What was suspended goes on."""
    found = job(body)
    if not found.suspended:
        return Change({}, f"{found.name} is not suspended; nothing is changed")
    said = f"{found.name} goes on: {_command(found, 'watch')}"
    return Change({"spec": {"suspend": False}}, said)


_CHANGES = {"suspend": suspend, "resume": resume}


def _suspended(found: Job) -> Iterator[str]:
    stopped = [s.name for s in found.stages if s.state == "Running"]
    what = f"told to stop: {', '.join(stopped)}" if stopped else "no stage is running"
    yield f"{found.name} is suspended; {what}"
    if any(name.startswith("finetune/") for name in stopped):
        yield "a fine-tuning goes on from its last checkpoint"
    if found.serving:
        yield "what is served stays"
    yield f"go on: {_command(found, 'resume')}"


def _failed(stage: Stage) -> str:
    return f"  {stage.name}: failed {words.times(stage.failures)}, last: {stage.failure}"


def _gate(stage: Stage) -> str:
    return (
        f"  {stage.name} misses a gate ({stage.message}): a retry changes nothing; "
        "change the gate or the training"
    )


def _command(found: Job, command: str) -> str:
    return f"kubectl olive {command} {found.name} -n {found.namespace}"
