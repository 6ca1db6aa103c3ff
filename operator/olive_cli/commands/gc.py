"""``kubectl olive gc``: what nothing refers to any more, and when the operator sweeps it.

It removes nothing. A record says that an artifact is whole; without it the folder stays on the
volume, is nobody's, and is never swept. So only the operator takes both (docs/operations.md).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from olive_cli.cluster.apiserver import ARTIFACTS, BATCH_JOBS
from olive_cli.job.view import Body
from olive_cli.store.policy import Policy, policy_of
from olive_cli.store.stored import SHORT, Stored, stored, total
from olive_cli.terminal import clock, spoken
from olive_cli.terminal.console import Terminal
from olive_operator import labels, records
from olive_operator.api.store import StoreSeen, SweepSeen
from olive_operator.plan.retention import upkeep

if TYPE_CHECKING:
    from olive_cli.cluster.connection import Cluster

SWEEPS = f"{labels.COMPONENT}=sweep"


def gc(cluster: "Cluster", claim: str | None) -> int:
    """Draw, for each claim of the namespace, what would go."""
    console, now = Terminal(), clock.now()
    bodies = cluster.server.list(ARTIFACTS, cluster.namespace)
    sweeps = cluster.server.list(BATCH_JOBS, cluster.namespace, labelSelector=SWEEPS)
    policy = policy_of(cluster, cluster.namespace)
    claims = {body["spec"]["claim"] for body in bodies}
    chosen = sorted(name for name in claims if claim in (None, name))
    for name in chosen:
        store = seen(cluster.namespace, name, bodies, sweeps)
        here = [stored(body) for body in bodies if body["spec"]["claim"] == name]
        if any(one.unused for one in here):
            console.print(picture(here, store, policy, now))
        for line in sentences(name, here, store, policy, now):
            console.print(line, soft_wrap=True)
    if not chosen:
        console.print("there are no artifacts")
    return 0


def seen(
    namespace: str, claim: str, artifacts: Sequence[Body], sweeps: Sequence[Body]
) -> StoreSeen:
    """The store as the operator marks it: what has no mark is in use."""
    here = tuple(records.stored(b) for b in artifacts if b["spec"]["claim"] == claim)
    used = frozenset(one.key for one in here if one.unusedSince is None)
    mine = tuple(_sweeps(claim, sweeps))
    return StoreSeen(namespace, claim, here, used, sweeps=mine)


def due(store: StoreSeen, policy: Policy, now: datetime) -> frozenset[str]:
    """The keys that a sweep takes now: by the operator's own rule."""
    idle = StoreSeen(store.namespace, store.claim, store.artifacts, store.used)
    wanted = upkeep(idle, policy.retention, now).sweep
    return frozenset(wanted.keys) if wanted else frozenset()


def picture(
    here: Sequence[Stored], store: StoreSeen, policy: Policy, now: datetime
) -> RenderableType:
    """A row for everything unused, in the order in which it goes."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("STAGE", "KEY"):
        grid.add_column(column, no_wrap=True)
    for column in ("SIZE", "COST", "UNUSED"):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("GOES", no_wrap=True)
    now_due, under_way = due(store, policy, now), _under_way(store)
    marked = [(one.unused, one.key, one) for one in here if one.unused]
    for since, key, one in sorted(marked, key=lambda entry: entry[:2]):
        goes = Text("is going", "red") if key in under_way else policy.goes(since, key in now_due)
        cells = (spoken.size(one.size), one.cost, spoken.age(since, now), goes)
        grid.add_row(one.stage, key[:SHORT], *cells)
    return grid


def sentences(
    claim: str, here: Sequence[Stored], store: StoreSeen, policy: Policy, now: datetime
) -> Iterator[str]:
    """What is there, what goes now, and by which rule."""
    yield f"{claim}: {total(here)}"
    if under_way := [sweep.name for sweep in store.sweeps if not sweep.over]:
        yield f"a sweep is at work: kubectl describe job -n {store.namespace} {under_way[0]}"
    elif keys := due(store, policy, now):
        size = spoken.size(sum(one.size for one in here if one.key in keys))
        yield f"the next sweep, within seconds, takes {spoken.count(len(keys), 'artifact')}, {size}"
    yield policy.rule


def _under_way(store: StoreSeen) -> frozenset[str]:
    return frozenset(key for sweep in store.sweeps if not sweep.over for key in sweep.keys)


def _sweeps(claim: str, bodies: Sequence[Body]) -> Iterator[SweepSeen]:
    for body in bodies:
        if (body["metadata"].get("annotations") or {}).get(labels.CLAIM) != claim:
            continue
        try:
            yield records.sweep(body)
        except ValueError:
            continue  # a newer operator's
