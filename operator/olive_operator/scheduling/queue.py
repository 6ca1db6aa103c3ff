"""The queue of jobs to look at: one entry a job, however often it is poked, and one worker a job.

The contract of client-go's workqueue (k8s.io/client-go/util/workqueue), for one event loop.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Queue(Generic[K]):
    """Keys to be worked on, without duplicates, some of them only later.

    A key that is poked while it is worked on comes again when that is done. One that is taken is
    taken for all that it was to come for, later as well.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._due: dict[K, float] = {}
        self._later: list[tuple[float, int, K]] = []
        self._at: dict[K, tuple[float, int]] = {}
        self._working: set[K] = set()
        self._again: dict[K, float] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._closed = self._held = False
        self._count = 0

    def __len__(self) -> int:
        """Keys that are due and not being worked on."""
        return len(self._due)

    def add(self, key: K) -> None:
        """The key is due now."""
        if key in self._working:
            self._again.setdefault(key, self._clock())
        elif key not in self._due:
            self._due[key] = self._clock()
            self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        """The key is due in so many seconds, unless it is due earlier anyway."""
        at = self._clock() + seconds
        if at < self._at.get(key, (float("inf"), 0))[0]:
            self._count += 1
            self._at[key] = at, self._count
            heapq.heappush(self._later, (at, self._count, key))
            if self._later[0][1] == self._count:
                self._set_alarm()
            if len(self._later) > 2 * len(self._at) + 64:
                self._tidy()

    def prefer(self, keys: Iterable[K]) -> None:
        """Of what is due, these have their turn first."""
        first = {key: self._due[key] for key in keys if key in self._due}
        self._due = first | self._due

    async def get(self) -> tuple[K, float] | None:
        """The key that has been due longest, and for how many seconds; then call ``done``.

        None once the queue is closed.
        """
        while not self._closed:
            self._ripen()
            for key, since in () if self._held else self._due.items():
                del self._due[key]
                self._at.pop(key, None)
                self._working.add(key)
                return key, self._clock() - since
            await self._wait()
        return None

    async def _wait(self) -> None:
        """Until there may be something: a key wakes one worker, not all of them."""
        woken = self._loop.create_future()
        self._idle.append(woken)
        try:
            await woken
        except asyncio.CancelledError:
            if woken in self._idle:
                self._idle.remove(woken)
            else:
                self._wake()  # another one, for the key that this one was woken for
            raise

    def _wake(self) -> None:
        while self._idle:
            if not (woken := self._idle.popleft()).done():  # it may have been cancelled
                woken.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._idle:
            self._wake()

    def done(self, key: K) -> None:
        """The work on a key is over; if it was poked meanwhile, it is due again."""
        self._working.discard(key)
        since = self._again.pop(key, None)
        if since is not None:
            self._due[key] = since
            self._wake()

    def hold(self, held: bool) -> None:
        """As long as it is held, no key comes; what is due stays so."""
        self._held = held
        if not held:
            self._wake_all()

    def close(self) -> None:
        """No key comes any more."""
        self._closed = True
        if self._alarm:
            self._alarm.cancel()
        self._wake_all()

    def _set_alarm(self) -> None:
        """At the time of what is due first of what is due later."""
        if self._alarm:
            self._alarm.cancel()
        if self._later and not self._closed:
            # A loop may round down to milliseconds: it must not ring before the time has come.
            left = self._later[0][0] - self._clock() + 0.001
            self._alarm = self._loop.call_later(left, self._ring)

    def _tidy(self) -> None:
        """Without what has become due earlier: most keys come long before their time."""
        self._later = [entry for entry in self._later if self._at.get(entry[2]) == entry[:2]]
        heapq.heapify(self._later)

    def _ring(self) -> None:
        self._ripen()
        self._set_alarm()

    def _ripen(self) -> None:
        while self._later and self._later[0][0] <= self._clock():
            at, number, key = heapq.heappop(self._later)
            if self._at.get(key) == (at, number):
                del self._at[key]
                self.add(key)
