"""A job's progress on a terminal: a table that is drawn anew. Pure."""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from olive_cli.job import words
from olive_cli.job.lines import every_line
from olive_cli.job.tree import rows
from olive_cli.job.view import Job, Stage

_STYLES = {
    "Waiting": "dim",
    "Pending": "yellow",
    "Running": "cyan",
    "Succeeded": "green",
    "Failed": "bold red",
}


NARROW = 72
"""Columns without which a table loses its notes; on fewer each stage is a line."""
WIDE = 100
"""Columns that a terminal must have for the graph to be drawn; on others the stages are a list."""
WIDER = 150
"""Columns for the pods' names to be shown besides."""


def table(found: Job, elapsed: float, now: datetime, width: int) -> RenderableType:
    """The whole picture at one instant; ``elapsed``: since the watch, or the job, began."""
    title = Text.assemble((found.name, "bold"), f" in {found.namespace}   ", found.phase or "new")
    spent = f"   {found.gpu_seconds} GPU s" if found.gpu_seconds else ""
    title.append(f"   {found.progress} stages   {words.clock(elapsed)}{spent}", "dim")
    rests = [Text(said, "yellow")] if (said := words.rests(found)) else []
    if width < NARROW:
        return Group(title, *rests, *every_line(found))
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("STAGE", "STATE", "PROGRESS"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("TIME", justify="right", no_wrap=True)
    grid.add_column("GPU S", justify="right", no_wrap=True)
    grid.add_column("NOTE", overflow="fold")
    if width >= WIDER:
        grid.add_column("POD", style="dim", overflow="ellipsis", no_wrap=True, max_width=40)
    named = rows(found) if width >= WIDE else [(stage, stage.name) for stage in found.stages]
    for stage, name in named:
        cells = _cells(stage, name, now)
        grid.add_row(*cells[: len(grid.columns)])
    if found.serving:
        grid.add_row("serving", *_serving_cells(found))
    return Group(title, *rests, grid)


def _cells(stage: Stage, name: str, now: datetime) -> list[RenderableType]:
    seconds = words.took(stage, now)
    return [
        name,
        Text(stage.state, _STYLES.get(stage.state, "")),
        _bar(stage),
        "" if seconds is None else words.clock(seconds),
        str(stage.gpu_seconds or ""),
        words.note(stage),
        stage.pod,
    ]


def _bar(stage: Stage) -> RenderableType:
    if stage.state != "Running" or stage.percent is None:
        return ""
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=100, completed=stage.percent, width=15), f"{stage.percent}%")
    return grid


def _serving_cells(found: Job) -> list[RenderableType]:
    ready = found.verdict is not None and found.verdict.ok
    state = Text("Ready", "green") if ready else Text("Starting", "cyan")
    what = words.serving(found.serving) if found.serving else ""
    return [state, "", "", "", what]
