"""``kubectl olive artifacts``: what is in the stores of a namespace, and what it has cost."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from olive_cli.cluster.apiserver import ARTIFACTS
from olive_cli.store.stored import SHORT, Stored, referred, stored, total
from olive_cli.terminal import clock, spoken
from olive_cli.terminal.console import Terminal

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster


def artifacts(cluster: "Cluster", claim: str | None, of: str | None) -> int:
    """Draw the table: of one claim, of what a job refers to, or of all."""
    console = Terminal()
    job = cluster.found(of) if of else None
    found = [stored(body) for body in cluster.server.list(ARTIFACTS, cluster.namespace)]
    if job is not None:
        wanted = referred(job)
        found = [one for one in found if (one.claim, one.key) in wanted]
    if claim:
        found = [one for one in found if one.claim == claim]
    if found:
        console.print(picture(found, clock.now()))
    console.print(total(found), soft_wrap=True)
    return 0


def picture(found: Sequence[Stored], now: datetime) -> RenderableType:
    """A row for every artifact, the largest first."""
    several = len({one.claim for one in found}) > 1
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("STAGE", "KEY", *(["CLAIM"] if several else [])):
        grid.add_column(column, no_wrap=True)
    for column in ("SIZE", "COST", "UNUSED"):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("MADE BY", no_wrap=True)
    for one in sorted(found, key=lambda a: (a.claim, -a.size, a.stage, a.key)):
        grid.add_row(
            one.stage,
            one.key[:SHORT],
            *([one.claim] if several else []),
            spoken.size(one.size),
            one.cost,
            Text(spoken.age(one.unused, now), "yellow") if one.unused else "",
            one.job,
        )
    return grid
