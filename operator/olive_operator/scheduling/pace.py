"""So many a second: what many want to do, and the API server should not have at once."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Pace(Generic[K]):
    """Gives each key an instant, one after the other; a key keeps its own until it has come."""

    def __init__(self, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._between, self._clock = 1 / a_second, clock
        self._free = self._last = float("-inf")
        self._given: dict[K, float] = {}

    def wait(self, key: K) -> float:
        """Seconds until it is the key's turn; 0: it is now, and that turn is used up."""
        now = self._clock()
        if key not in self._given:
            # By those who still have one to come: turns that were dropped are given anew.
            soonest = max(now, self._last + self._between) + len(self._given) * self._between
            self._given[key] = max(now, min(self._free, soonest))
            self._free = self._given[key] + self._between
        left = self._given[key] - now
        if left <= 0:
            del self._given[key]
            self._last = now
        return max(left, 0.0)

    def drop(self, key: K) -> None:
        """The key wants no turn any more."""
        self._given.pop(key, None)
