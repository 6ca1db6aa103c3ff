"""``kubectl olive status``: one look at a job, or at all of a namespace.

What follows a job is ``watch``, which draws the same picture.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from olive_cli.cluster.apiserver import JOBS
from olive_cli.errors import WrongInputError
from olive_cli.job import words
from olive_cli.job.table import table
from olive_cli.job.view import Body, Job, job
from olive_cli.terminal import clock, spoken
from olive_cli.terminal.console import Terminal

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

PHASES = {"Running": "cyan", "Ready": "green", "Failed": "bold red", "Pending": "yellow"}


def status(cluster: "Cluster", name: str | None, everywhere: bool) -> int:
    """Draw the job, or the table of jobs if no name is given."""
    if name and everywhere:
        raise WrongInputError("a name is one namespace's: give NAME with -n, or -A alone")
    console, now = Terminal(), clock.now()
    if name:
        found = job(cluster.found(name))
        console.print(table(found, elapsed(found, now), now, console.width))
        if hint := last_word(found):
            console.print(f"\n{hint}", soft_wrap=True)
        return 0
    bodies = cluster.server.list(JOBS, None if everywhere else cluster.namespace)
    if not bodies:
        where = "the cluster" if everywhere else f"namespace {cluster.namespace}"
        console.print(f"{where} has no OptimizationJobs")
        return 0
    console.print(jobs(bodies, everywhere, now))
    return 0


def elapsed(found: Job, now: datetime) -> float:
    """Seconds that the job has taken since its spec was last changed."""
    if found.started is None:
        return 0.0
    # Not less than nothing, where this machine's clock is behind the operator's.
    return max(((found.finished or now) - found.started).total_seconds(), 0.0)


def last_word(found: Job) -> str:
    """What to do next, where it is not plain from the picture."""
    if found.verdict:
        return words.outcome(found)
    in_the_way = [s for s in found.stages if s.state in ("Pending", "Failed") and words.note(s)]
    if in_the_way:
        return f"what to do: kubectl olive why {found.name} -n {found.namespace}"
    return ""


def jobs(bodies: Sequence[Body], everywhere: bool, now: datetime) -> RenderableType:
    """A row for every job."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in (*(["NAMESPACE"] if everywhere else []), "NAME", "PHASE", "STAGES"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("GPU S", justify="right", no_wrap=True)
    grid.add_column("AGE", justify="right", no_wrap=True)
    grid.add_column("REASON", no_wrap=True)
    grid.add_column("AT", overflow="fold")
    for body in sorted(bodies, key=lambda b: (b["metadata"]["namespace"], b["metadata"]["name"])):
        found = job(body)
        created = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
        grid.add_row(
            *([found.namespace] if everywhere else []),
            found.name,
            Text(found.phase or "new", PHASES.get(found.phase, "")),
            found.progress,
            str(found.gpu_seconds or ""),
            spoken.age(created, now),
            found.reason,
            body.get("status", {}).get("stage", ""),
        )
    return grid
