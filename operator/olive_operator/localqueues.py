"""Whether the LocalQueues of Kueue that jobs name are there: looked up now and then, for all jobs.

They are not watched: where Kueue is not installed there is nothing to watch, and the operator must
not need it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from olive_operator.apiserver import ApiError
from olive_operator.cluster import Cluster

SECONDS: Final = 30.0
"""For which an answer holds."""


class LocalQueues:
    """What is known of each, by namespace and name."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._clock = cluster, clock
        self._known: dict[tuple[str, str], tuple[str, float]] = {}
        self._asking: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    def known(self, namespace: str, name: str | None) -> str | None:
        """Why it cannot be used, empty if it can (or none is named), None if it was not asked."""
        if not name:
            return ""
        return self._known.get((namespace, name), (None, 0.0))[0]

    async def look(self, namespace: str, name: str) -> None:
        """Ask, unless that was done a moment ago. While there is no answer, the last one holds."""
        key = namespace, name
        async with self._asking[key]:
            if key in self._known and self._clock() - self._known[key][1] < SECONDS:
                return
            try:
                why = await self._cluster.local_queue(namespace, name)
            except ApiError as error:
                if error.passing:
                    return
                why = f"LocalQueue {name} cannot be looked up: {error}"
            self._known[key] = why, self._clock()
