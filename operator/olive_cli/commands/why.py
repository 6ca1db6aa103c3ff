"""``kubectl olive why``: what a job waits for, or why it has failed, and what to do. Pure but for
the two reads of the command."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from olive_cli.cluster.apiserver import EVENTS
from olive_cli.errors import ForbiddenError
from olive_cli.job import words
from olive_cli.job.advice import NOTHING, advice
from olive_cli.job.events import Warned, about, warned
from olive_cli.job.view import Job, Stage, job

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster


def why(cluster: "Cluster", name: str) -> Iterator[str]:
    """The sentences, a line each."""
    found = job(cluster.found(name))
    selector = "type=Warning"
    try:
        events = cluster.server.list(EVENTS, cluster.namespace, fieldSelector=selector)
    except ForbiddenError as error:
        yield from sentences(found, ())
        yield f"(the events of its pods are not told: {error})"
        return
    yield from sentences(found, [warned(event) for event in events])


def sentences(found: Job, events: Sequence[Warned]) -> Iterator[str]:
    """First the job, then each stage in its way, with what to do; those behind are named."""
    yield _of_the_job(found)
    rest = [s for s in found.stages if s.state == "Waiting" and s.reason != "HeldBack"]
    for stage in found.stages:
        if stage not in rest and (stage.state != "Succeeded" or stage.reason == "GateFailed"):
            yield from _of(stage, found, events)
    if rest:
        what = "left to do" if found.phase == "Suspended" else "these come after"
        yield f"  {what}: {', '.join(stage.name for stage in rest)}"
    if not any(stage.state != "Succeeded" for stage in found.stages):
        yield from _of_the_serving(found, events)


def _of_the_job(found: Job) -> str:
    name = found.name
    if not found.phase:
        return f"{name} is new: the operator has not looked at it yet; does one run?"
    if not found.planned:
        return f"{name} was edited: the operator has not looked at the newest spec yet"
    if found.verdict and found.verdict.ok:
        return f"{name} is ready: {found.verdict.message}"
    if found.verdict:
        return f"{name} is stalled ({found.verdict.reason}): nothing goes on without you"
    if found.phase == "Suspended":
        return words.rests(found)
    running = [stage.name for stage in found.stages if stage.state == "Running"]
    if running:
        return f"{name} is at work: {', '.join(running)}"
    return f"{name} waits ({found.reason or found.phase})"


def _of(stage: Stage, found: Job, events: Sequence[Warned]) -> Iterator[str]:
    yield f"  {_state(stage)}"
    said = advice(stage.reason, found.name, found.namespace, stage.name)
    if said and stage.again and stage.state == "Pending":
        yield f"    to do: nothing yet; if it stays: {said}"
    elif said and said != NOTHING:
        yield f"    to do: {said}"
    for event in about(events, found, stage):
        if event.message not in stage.message:
            yield f"    event: {event.sentence}"


def _state(stage: Stage) -> str:
    name, reason = stage.name, f" ({stage.reason})" if stage.reason else ""
    what = f"{reason}: {stage.message}" if stage.message else ""
    if stage.state == "Succeeded":
        return f"{name} misses a gate: {stage.message}"
    if stage.state == "Failed":
        often = f" {words.times(stage.failures)}" if stage.failures else ""
        return f"{name} has failed{often}{what}"
    if stage.again:
        return f"{name} has failed{what}; it is tried again at {stage.again:%H:%M:%S} UTC"
    if stage.state == "Running":
        note = stage.message if stage.reason == "NoProgress" else words.note(stage)
        return f"{name} runs{f': {note}' if note else ''}"
    if stage.state in ("Waiting", "Pending"):
        return f"{name} waits{what}"
    return f"{name} is {stage.state or 'new'}{what}"  # a newer operator's word


def _of_the_serving(found: Job, events: Sequence[Warned]) -> Iterator[str]:
    """Every stage is done: what is left is that pods answer, or a part that is refused."""
    if found.verdict and found.verdict.ok:
        return
    if found.serving:
        yield f"  the serving has {words.serving(found.serving)}"
    if found.verdict:
        yield f"  {found.message}"
        if said := advice(found.reason, found.name, found.namespace, "serving"):
            yield f"    to do: {said}"
    for event in [e for e in events if e.of.startswith(f"{found.name}-serving-")][-3:]:
        yield f"    event: {event.sentence}"
