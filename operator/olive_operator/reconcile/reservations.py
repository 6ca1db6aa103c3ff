"""Attempts that were asked for a moment ago: they count before any watch has brought them.

Two jobs that are planned one after the other must not both start what only one has to make, though
the first one's request is still on its way.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from olive_operator import records
from olive_operator.api.seen import AttemptSeen, Builder, JobSeen
from olive_operator.client.cluster import Manifest
from olive_operator.plan import sharing
from olive_operator.watch.cache import JobKey

LASTS: Final = sharing.UNSEEN.total_seconds()
"""Seconds after which an attempt that is still not seen is not believed in any more."""


@dataclass(frozen=True)
class _Reserved:
    owner: str
    builder: Builder
    until: float


class Reservations:
    """By namespace, claim and address, who is about to make it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of: dict[tuple[str, str, str], _Reserved] = {}

    def reserve(self, job: JobSeen, manifests: Iterable[Manifest]) -> list[AttemptSeen]:
        """The job asks for these attempts now, and for no others any more; those are told."""
        attempts = [records.attempt(manifest) for manifest in manifests]
        places = {(job.namespace, a.claim, a.address): a for a in attempts}
        dropped = self.forget((job.namespace, job.name), places)
        for place, attempt in places.items():
            builder = Builder(job.name, attempt, reserved=True)
            self._of[place] = _Reserved(job.uid, builder, self._clock() + LASTS)
        return dropped

    def forget(self, job: JobKey, but: Collection[tuple[str, str, str]] = ()) -> list[AttemptSeen]:
        """All that jobs of this name have asked for, but for these places."""
        gone = [
            place
            for place, found in self._of.items()
            if (place[0], found.builder.job) == job and place not in but
        ]
        return [self._of.pop(place).builder.attempt for place in gone]

    def release(self, job: JobSeen, attempt: AttemptSeen) -> None:
        """It is seen now, or will never be."""
        place = (job.namespace, attempt.claim, attempt.address)
        if place in self._of and self._of[place].owner == job.uid:
            del self._of[place]

    def by_another(self, job: JobSeen, claim: str, address: str) -> Builder | None:
        """The attempt that another job has asked for."""
        found = self._of.get((job.namespace, claim, address))
        if found is None or found.owner == job.uid:
            return None
        return found.builder if self._clock() < found.until else None
