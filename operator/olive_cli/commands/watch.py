"""``kubectl olive watch``: a live table on a terminal, one line per transition elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from olive_cli.cluster.follow import follow
from olive_cli.errors import NoSuchJobError
from olive_cli.job import words
from olive_cli.job.lines import changes
from olive_cli.job.table import table
from olive_cli.job.view import Job
from olive_cli.terminal import clock
from olive_cli.terminal.console import Terminal

if TYPE_CHECKING:  # it brings the Kubernetes client, which a run on one machine has no use for
    from olive_cli.cluster.connection import Cluster

Show = Callable[[Job], None]


def watch(cluster: "Cluster", name: str, timeout: float | None) -> int:
    """Follow the job to its end; 0 if it is ready, 1 if it is stalled."""
    console = Terminal()
    try:
        found = show(follow(cluster.job(name), timeout, time.monotonic, time.sleep), console)
    except NoSuchJobError:
        raise cluster.absent(name) from None
    console.print(words.outcome(found), soft_wrap=True, markup=False)
    return 0 if found.verdict and found.verdict.ok else 1


def show(jobs: Iterator[Job], console: Console) -> Job:
    """Show every state of the job, and return the last."""
    start = time.monotonic()
    # A terminal that cannot move its cursor (TERM=dumb) is told what a log is told.
    drawn = console.is_terminal and not console.is_dumb_terminal
    with (_drawn if drawn else _told)(console, start) as tell:
        for found in jobs:
            tell(found)
    return found


@contextmanager
def _drawn(console: Console, start: float) -> Iterator[Show]:
    current: list[Job] = []

    def picture() -> object:
        if not current:
            return ""
        return table(current[-1], time.monotonic() - start, clock.now(), console.width)

    with Live(console=console, get_renderable=picture, refresh_per_second=2) as live:  # type: ignore[arg-type]

        def tell(found: Job) -> None:
            current[:] = [found]
            live.refresh()

        yield tell


@contextmanager
def _told(console: Console, start: float) -> Iterator[Show]:
    last: list[Job] = []

    def tell(found: Job) -> None:
        for line in changes(last[-1] if last else None, found):
            at = words.clock(time.monotonic() - start)
            console.print(f"{at} {line}", soft_wrap=True, markup=False)
            console.file.flush()  # a log is read while it grows
        last[:] = [found]

    yield tell
