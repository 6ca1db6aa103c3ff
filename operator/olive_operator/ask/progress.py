"""How far running stages are: their pods' logs, read in turn at a pace that the cluster can bear.

A log comes from the pod's node by way of the API server, which is dear. So all pods together have
one budget: few are asked often, many each more seldom, and all seldom while no node answers.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from olive_contract.stage import Progress
from olive_operator.client.apiserver import ApiError
from olive_operator.client.cluster import Cluster
from olive_operator.watch.cache import JobKey

log = logging.getLogger("olive.progress")

LOGS_A_SECOND: Final = 10.0
"""At most, of all pods together."""
OPEN: Final = 8
"""Logs at a time: where nodes do not answer, they must leave room for requests that matter."""
_SELDOM: Final = 5.0
"""Seconds between two looks at any pod, at most: where one log after the other does not come."""


class Logs:
    """The last progress line of every pod that is followed.

    ``seconds`` are between two looks at a pod, or more where there are many; ``changed`` is called
    for a job of which there is news.
    """

    def __init__(self, cluster: Cluster, seconds: float, changed: Callable[[JobKey], None]) -> None:
        self._cluster, self._seconds, self._changed = cluster, seconds, changed
        self._followed: dict[JobKey, tuple[str, ...]] = {}
        self._turns: dict[tuple[JobKey, str], None] = {}
        self._known: dict[tuple[JobKey, str], Progress] = {}
        self._some = asyncio.Event()
        self._reading: set[tuple[JobKey, str]] = set()
        self._unanswered = 0

    def follow(self, key: JobKey, pods: tuple[str, ...]) -> None:
        """From now on these pods of the job, and no others; one that is new waits for its turn."""
        before = self._followed.pop(key, ())
        for pod in before:
            if pod not in pods:
                del self._turns[key, pod]
                self._known.pop((key, pod), None)
        if pods:
            self._followed[key] = pods
            self._turns.update(dict.fromkeys((key, pod) for pod in pods if pod not in before))
            self._some.set()

    def progress(self, key: JobKey) -> Mapping[str, Progress]:
        """What is known of the job's pods, by name."""
        pods = self._followed.get(key, ())
        return {pod: self._known[key, pod] for pod in pods if (key, pod) in self._known}

    def pause(self) -> float:
        """Seconds between two looks at any pod."""
        usual = max(self._seconds / max(len(self._turns), 1), 1 / LOGS_A_SECOND)
        return max(usual, min(2.0**self._unanswered / LOGS_A_SECOND / 8, _SELDOM))

    async def run(self) -> None:
        """Read until cancelled; a log that does not come keeps no other back."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._some.wait()
                await asyncio.sleep(self.pause())
                if not self._turns:
                    self._some.clear()
                    continue
                turn = next((t for t in self._turns if t not in self._reading), None)
                if turn is None or len(self._reading) >= OPEN:
                    continue
                del self._turns[turn]
                self._turns[turn] = None  # the last of all now
                self._reading.add(turn)
                group.create_task(self._read(*turn))

    async def _read(self, key: JobKey, pod: str) -> None:
        try:
            found = _last(await self._cluster.log(key[0], pod))
            self._unanswered = 0
        except ApiError as error:
            # Asking for a log that its node does not give costs more than one that comes.
            self._unanswered = min(self._unanswered + 1, 10)
            log.debug("the log of %s/%s: %s", key[0], pod, error)
            return
        except Exception as error:
            # A log that nobody can read must not end the reading of all.
            log.warning("the log of %s/%s: %s: %s", key[0], pod, type(error).__name__, error)
            return
        finally:
            self._reading.discard((key, pod))
        turn = key, pod
        if found and turn in self._turns and found != self._known.get(turn):
            self._known[turn] = found
            self._changed(key)


def _last(lines: list[str]) -> Progress | None:
    found = (Progress.from_line(line) for line in reversed(lines))
    return next((p for p in found if p), None)
