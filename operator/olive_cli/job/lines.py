"""A job's progress without a table: one line per transition, or per stage. Pure."""

from collections.abc import Iterator

from olive_cli.job import words
from olive_cli.job.view import Job, Serving, Stage

STEP = 20
"""Percent of progress that are worth a line."""


def changes(before: Job | None, after: Job) -> Iterator[str]:
    """The lines that the step from one status to the next is worth."""
    known = {s.name: s for s in before.stages} if before else {}
    if rests := words.rests(after):
        if not (before and words.rests(before)):
            yield rests
    elif before and words.rests(before):
        yield f"{after.name} goes on"
    width = max((len(s.name) for s in after.stages), default=0)
    for stage in after.stages:
        if _told(stage) and _mark(stage) != _mark(known.get(stage.name)):
            yield _line(stage, width)
    if after.serving and after.serving != (before.serving if before else None):
        yield _serving_line(after.serving, width)


def every_line(found: Job) -> Iterator[str]:
    """A line for every stage, whatever there is to tell, and one for the serving."""
    width = max((len(s.name) for s in found.stages), default=0)
    yield from (_line(stage, width) for stage in found.stages)
    if found.serving:
        yield _serving_line(found.serving, width)


def _told(stage: Stage) -> bool:
    """Whether there is anything to tell: not that it waits as every stage does for a moment."""
    return stage.state != "Waiting" and (stage.state != "Pending" or bool(words.note(stage)))


def _mark(stage: Stage | None) -> tuple[object, ...]:
    """What makes a line: two statuses with the same mark read alike."""
    if stage is None:
        return ()
    if stage.state == "Running":
        step = (stage.percent or 0) // STEP
        return (stage.state, stage.attempt, step, stage.reason == "NoProgress")
    return (stage.state, words.note(stage))


def _line(stage: Stage, width: int) -> str:
    percent = f"{stage.percent:3}%" if stage.state == "Running" and stage.percent else ""
    cells = [f"{stage.name:{width}}", f"{stage.state:9}", f"{percent:4}"]
    if stage.state == "Succeeded" and not stage.cached:
        cells.append(words.whole(stage.seconds))
        if stage.gpu_seconds:
            cells.append(f"{stage.gpu_seconds} GPU s")
    return "  ".join([*cells, words.note(stage)]).rstrip()


def _serving_line(serving: Serving, width: int) -> str:
    return f"{'serving':{width}}  {words.serving(serving)}"
