"""Which stages have to run: what is asked for, is not in the store, and is read by what runs.

As in a build system, an input is made only for the sake of what reads it. So an artifact that was
swept out of the store is missed by nobody until something is to be made from it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from olive_operator.api.seen import Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import State

PRODUCTS: Final = frozenset({"export", "adapter", "evaluate", "publish"})
"""Kinds of stages that a job is for; all others serve these."""
SERVED: Final = frozenset({"export", "adapter"})
"""Products that have to be in the store as long as they are served."""


def present(address: Address | None, seen: Seen) -> bool:
    """The store has what the stage is to make, and keeps it."""
    return (
        address is not None and address.key in seen.artifacts and address.key not in seen.sweeping
    )


def needed(
    stages: Sequence[Stage], addresses: Mapping[str, Address | None], seen: Seen
) -> frozenset[str]:
    """The names of the stages that have to run. ``stages``: each after those it reads."""
    run: set[str] = set()
    read: set[str] = set()
    for stage in reversed(stages):
        address = addresses[stage.name]
        if present(address, seen):
            continue
        if stage.name in read or _asked_for(stage, address, seen):
            run.add(stage.name)
            read.update(stage.inputs.values(), stage.after)
    return frozenset(run)


def _asked_for(stage: Stage, address: Address | None, seen: Seen) -> bool:
    if stage.kind not in PRODUCTS:
        return False
    if stage.kind in SERVED and seen.job.spec.serve is not None:
        return True
    before = seen.job.status.stage_named(stage.name)
    made = before is not None and before.state == State.SUCCEEDED
    return not (made and before and address and before.address == address.name)
