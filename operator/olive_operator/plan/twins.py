"""Stages of one job that make the same artifact: which of them makes it.

Two adapters may be trained on one data set. Whatever comes of the maker's attempts has come of the
others too, so that they try no more often than one, however many they are.
"""

from collections.abc import Mapping, Sequence, Set

from olive_operator.api.seen import Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.plan.attempts import under_way


def makers(
    stages: Sequence[Stage],
    addresses: Mapping[str, Address | None],
    needed: Set[str],
    seen: Seen,
) -> dict[str, str]:
    """The maker of what each stage that has to run is to make: mostly the stage itself.

    It is the one that has tried; of several that have as often, the first.
    """
    known = {s.name: s for s in seen.job.status.stages}
    places: dict[str, str] = {}
    best: dict[str, tuple[int, int]] = {}
    maker: dict[str, str] = {}
    for name in (stage.name for stage in stages if stage.name in needed):
        before = known.get(name) or StageStatus(name, State.WAITING)
        if not (place := _place(addresses[name], before, seen)):
            continue
        places[name] = place
        tried = (before.attempt, before.failures) if before.address == place else (0, 0)
        if tried > best.get(place, (-1, -1)):
            best[place], maker[place] = tried, name
    return {name: maker[place] for name, place in places.items()}


def _place(address: Address | None, before: StageStatus, seen: Seen) -> str:
    """What it makes; where that is not known now, what it is still at work on."""
    if address:
        return address.name
    return before.address if under_way(before, seen) else ""
