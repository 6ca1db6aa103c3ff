"""Attempts that were asked for a moment ago: they count before any watch has brought them.

Two jobs that are planned one after the other must not both start what only one has to make, though
the first one's request is still on its way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from olive_operator import records
from olive_operator.api.seen import AttemptSeen, Builder, JobSeen
from olive_operator.client.cluster import Manifest

LASTS: Final = 10.0
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

    def reserve(self, job: JobSeen, manifest: Manifest) -> AttemptSeen:
        """The job asks for this attempt now."""
        attempt = records.attempt(manifest)
        builder = Builder(job.name, attempt, reserved=True)
        place = (job.namespace, attempt.claim, attempt.address)
        self._of[place] = _Reserved(job.uid, builder, self._clock() + LASTS)
        return attempt

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
