"""What is not watched but looked up now and then, once for all jobs that want to know it.

Not everything can be watched: where Kueue is not installed there are no queues, and of the Events
of a cluster next to none are ours.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from olive_operator.client.apiserver import ApiError

log = logging.getLogger("olive.lookups")

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")


class Lookups(Generic[K, A]):
    """The last answer to each question; it holds for so many ``seconds``."""

    def __init__(
        self,
        ask: Callable[[K], Awaitable[A]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._seconds, self._clock = ask, seconds, clock
        self._known: dict[K, tuple[A, float]] = {}
        self._asking: defaultdict[K, asyncio.Lock] = defaultdict(asyncio.Lock)

    def known(self, question: K) -> A | None:
        """The last answer, however old; None if there never was one."""
        found = self._known.get(question)
        return found[0] if found else None

    async def look(self, question: K) -> A | None:
        """Ask, unless that was done a moment ago. While there is no answer, the last one holds."""
        async with self._asking[question]:
            if question in self._known and self._clock() - self._known[question][1] < self._seconds:
                return self.known(question)
            self._forget()
            try:
                self._known[question] = await self._ask(question), self._clock()
            except ApiError as error:
                level = logging.DEBUG if error.passing else logging.WARNING
                log.log(level, "%s: %s; asked again", question, error)
            return self.known(question)

    def _forget(self) -> None:
        """What nobody has asked for a long time."""
        long_ago = self._clock() - 100 * self._seconds
        for question in [q for q, (_, at) in self._known.items() if at < long_ago]:
            del self._known[question], self._asking[question]
