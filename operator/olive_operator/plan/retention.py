"""What becomes of a store's artifacts: one pure function from what is seen to what is to be done.

An artifact that nothing refers to is marked with the instant; one that is referred to again loses
the mark. After the retention, or earlier where the store is too large, it is swept, in steps of
which each is seen to be done before the next: a suspended Job that lists the keys (from now on
nobody begins to use them), the records deleted, the Job's pod let go, the Job over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from olive_contract.sweep import Sweep
from olive_operator.api.duration import parsed
from olive_operator.api.store import StoredSeen, StoreSeen, SweepSeen
from olive_operator.config import Retention

AT_ONCE: Final = 256
"""Artifacts of one sweep: they are a part of its process's one argument, which has a limit."""
KEPT: Final = 1024
"""Keys in that argument whose half-made things stay; with more of them no such thing is removed."""
SPARED: Final = timedelta(hours=1)
"""So long nothing is swept that was in use, however full the store is: what has used it may end."""
EVERY: Final = timedelta(days=1)
"""Between two sweeps for what was left over."""
SKEW: Final = timedelta(hours=1)
"""Between the clocks of the API server and of whoever dates the files."""


@dataclass(frozen=True)
class Upkeep:
    """What is to be done about a store, by the names of records and sweeps.

    ``mark`` and ``unmark`` records as unused; ``sweep``: to be decided on and created; ``forget``:
    records to delete; ``begin``: sweeps to let go; ``end``: sweeps to delete.
    """

    mark: tuple[str, ...] = ()
    unmark: tuple[str, ...] = ()
    sweep: Sweep | None = None
    forget: tuple[str, ...] = ()
    begin: tuple[str, ...] = ()
    end: tuple[str, ...] = ()


def upkeep(seen: StoreSeen, policy: Retention, now: datetime) -> Upkeep:
    """What is to be done now; nothing the second time, once it is done and seen."""
    unused = [a for a in seen.artifacts if a.key not in seen.used]
    at_work = [s for s in seen.sweeps if not s.over]
    forget, begin, end = _go_on(seen, [s for s in at_work if s.there and not s.deleting])
    wanted = None
    if not at_work:
        wanted = _wanted(seen, unused, policy, now)
        if wanted and seen.sweeps:  # what is over makes room first: it may have the same name
            end, wanted = [s.name for s in seen.sweeps if not s.deleting], None
    elif lost := next((s for s in at_work if not s.there), None):
        wanted = _sweep(seen, sorted(lost.keys), policy, now)
    return Upkeep(
        mark=tuple(a.name for a in unused if a.unusedSince is None),
        unmark=tuple(a.name for a in seen.artifacts if a.key in seen.used and a.unusedSince),
        sweep=wanted,
        forget=tuple(forget),
        begin=tuple(begin),
        end=tuple(end),
    )


def _go_on(seen: StoreSeen, sweeps: Sequence[SweepSeen]) -> tuple[list[str], list[str], list[str]]:
    """Records to delete, sweeps to let go, sweeps to delete: the next step of those at work."""
    forget, begin, end = [], [], []
    for sweep in sweeps:
        records = [a.name for a in seen.artifacts if a.key in sweep.keys]
        recorded = {a.key for a in seen.artifacts}
        if sweep.outcome:
            end.append(sweep.name)
        elif not sweep.suspended:
            continue
        elif recorded >= sweep.keys and sweep.keys & seen.used:
            end.append(sweep.name)  # something has come to use one before anything was touched
        elif records:
            forget += records
        else:
            begin.append(sweep.name)
    return forget, begin, end


def _wanted(
    seen: StoreSeen, unused: Sequence[StoredSeen], policy: Retention, now: datetime
) -> Sweep | None:
    keys = [a.key for a in _due(seen, unused, policy, now)][:AT_ONCE]
    swept = [s.endedAt for s in seen.sweeps if s.endedAt]
    made = [a.createdAt for a in seen.artifacts if a.createdAt]
    daily = bool(policy.leftovers and made) and max([min(made), *swept]) + EVERY <= now
    return _sweep(seen, keys, policy, now) if keys or daily else None


def _due(
    seen: StoreSeen, unused: Sequence[StoredSeen], policy: Retention, now: datetime
) -> Iterator[StoredSeen]:
    """What is to go, the longest unused first."""
    excess = sum(a.sizeBytes for a in seen.artifacts) - policy.bytes if policy.maxSize else 0
    marked = [(a.unusedSince, a) for a in unused if a.unusedSince]
    for since, artifact in sorted(marked, key=lambda one: (one[0], one[1].key, one[1].name)):
        expired = bool(policy.retention) and since + parsed(policy.retention) <= now
        if expired or (excess > 0 and since + SPARED <= now):
            excess -= artifact.sizeBytes
            yield artifact


def _sweep(seen: StoreSeen, keys: Sequence[str], policy: Retention, now: datetime) -> Sweep:
    """With what is half-made and older than any attempt under way, but for what is to go on."""
    if not policy.leftovers or len(seen.open) > KEPT:
        return Sweep(tuple(keys))
    before = now - parsed(policy.leftovers)
    if seen.oldest:
        before = min(before, seen.oldest - SKEW)
    return Sweep(tuple(keys), before.isoformat(), tuple(sorted(seen.open)))
