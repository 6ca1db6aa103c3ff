"""What is remembered of each job from one pass to the next, and of no job that is gone.

A new process knows none of it: what it would do differently is said twice, or a moment too early.
"""

import time
from collections.abc import Mapping
from typing import Final

from olive_operator.api.seen import Ref
from olive_operator.api.status import Status
from olive_operator.reconcile import urgency
from olive_operator.scheduling.backoff import Backoff
from olive_operator.scheduling.pace import Pace
from olive_operator.watch.cache import JobKey

FIRST: Final = 1.0
LONGEST: Final = 60.0
"""Seconds until a job is looked at again for which something was refused, late, or went wrong."""


class Notes:
    """When the status of each job was written, which one others were told of, what it was refused,
    how often it was tried."""

    def __init__(self) -> None:
        self._written: dict[JobKey, float] = {}
        self._informing: Pace[JobKey] = Pace(urgency.INFORMING_A_SECOND)
        self._refused: dict[JobKey, Mapping[Ref, str]] = {}
        self._backoffs: dict[JobKey, Backoff] = {}
        self._announced: dict[JobKey, Status] = {}

    def refused(self, key: JobKey) -> Mapping[Ref, str]:
        """What the API server did not take of the job in its last pass, and why."""
        return self._refused.get(key, {})

    def refuse(self, key: JobKey, refused: Mapping[Ref, str]) -> bool:
        """It is this from now on; whether that is other objects than before."""
        before, self._refused[key] = self.refused(key), refused
        return before.keys() != refused.keys()

    def left(self, key: JobKey, wait: float) -> float:
        """Seconds until the status may be written that may wait so long after the last one."""
        left = self._written.get(key, float("-inf")) + wait - time.monotonic()
        if left <= 0 and wait > 0:
            left = self._informing.wait(key)
        return max(left, 0.0)

    def wrote(self, key: JobKey) -> None:
        """The status is written now."""
        self._written[key] = time.monotonic()
        self._informing.drop(key)

    def announce(self, key: JobKey, status: Status) -> Status:
        """Other jobs are told of this status now; the one that they were told of before.

        At the start that is what everybody finds.
        """
        before, self._announced[key] = self._announced.get(key, status), status
        return before

    def failures(self, key: JobKey) -> int:
        """Tries in a row that have not gone well."""
        return self._backoffs[key].failures if key in self._backoffs else 0

    def failed(self, key: JobKey) -> float:
        """Seconds until the next try: later each time."""
        return self._backoffs.setdefault(key, Backoff(FIRST, LONGEST)).next()

    def went_well(self, key: JobKey) -> None:
        """The next failure is the first again."""
        self._backoffs.pop(key, None)

    def forget(self, key: JobKey) -> None:
        """The job is gone."""
        self._informing.drop(key)
        for known in (self._written, self._refused, self._backoffs, self._announced):
            known.pop(key, None)
