"""What no watch brings, asked beside the passes: a pass waits for no pod and no node.

How far a running stage is stands in its log; what a serving has loaded only it knows; why a pod is
not made, an Event says; whether a queue can be used is looked up. The answers are kept, and a job
is poked when they have changed.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from olive_contract.stage import Progress
from olive_operator.ask.lookups import Lookups
from olive_operator.ask.progress import Logs
from olive_operator.client.cluster import Cluster
from olive_operator.scheduling.queue import Queue
from olive_operator.watch.cache import JobKey

log = logging.getLogger("olive.inquiries")

WORKERS: Final = 16
_QUEUE_HOLDS: Final = 30.0
_REFUSALS_HOLD: Final = 5.0
"""Seconds for which an answer is good."""


@dataclass(frozen=True)
class Questions:
    """Pods whose log tells progress, addresses of serving pods, Jobs whose pod does not come.

    ``queue``: the LocalQueue by which attempts are to be admitted.
    """

    running: tuple[str, ...] = ()
    serving: tuple[str, ...] = ()
    without_pod: tuple[str, ...] = ()
    queue: str = ""

    def __bool__(self) -> bool:
        return bool(self.running or self.serving or self.without_pod or self.queue)


@dataclass(frozen=True)
class Answers:
    """Progress by pod, what every serving pod has loaded (None: not known), warnings by Job.

    ``queue``: why the job's LocalQueue cannot be used, empty if it can, None while not known.
    """

    progress: Mapping[str, Progress] = field(default_factory=dict)
    loaded: frozenset[str] | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    queue: str | None = None


class Inquiries:
    """Asks for every job that has questions, again and again until it has none."""

    def __init__(self, cluster: Cluster, jobs: Queue[JobKey], seconds: float) -> None:
        self._cluster, self._jobs, self._seconds = cluster, jobs, seconds
        self._due: Queue[JobKey] = Queue()
        self._logs = Logs(cluster, seconds, jobs.add)
        self._queues: Lookups[tuple[str, str], str] = Lookups(
            lambda queue: cluster.local_queue(*queue), _QUEUE_HOLDS
        )
        self._refusals = Lookups(cluster.refusals, _REFUSALS_HOLD)
        self._questions: dict[JobKey, Questions] = {}
        self._answers: dict[JobKey, Answers] = {}

    def answers(self, key: JobKey, queue: str | None) -> Answers:
        """What is known for a job that names this queue."""
        known = self._queues.known((key[0], queue)) if queue else ""
        return replace(self._told(key), progress=self._logs.progress(key), queue=known)

    def _told(self, key: JobKey) -> Answers:
        """What the job was last poked for."""
        return self._answers.get(key, _NONE)

    def ask(self, key: JobKey, questions: Questions) -> None:
        """From now on these; what was not asked before is asked at once, but for logs."""
        self._logs.follow(key, questions.running)
        asked = replace(questions, running=())
        if not asked:
            self._questions.pop(key, None)
            self._answers.pop(key, None)
        elif asked != self._questions.get(key):
            self._questions[key] = asked
            self._due.add(key)

    def forget(self, key: JobKey) -> None:
        """The job has no questions any more."""
        self.ask(key, Questions())

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._logs.run())
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while (got := await self._due.get()) is not None:
            key, _ = got
            try:
                if questions := self._questions.get(key):
                    self._due.add_after(key, self._seconds)
                    await self._answer(key, questions)
            except Exception as error:
                # An answer that nobody can read must not end the asking for all.
                log.warning("%s/%s: %s: %s", *key, type(error).__name__, error)
            finally:
                self._due.done(key)

    async def _answer(self, key: JobKey, questions: Questions) -> None:
        loaded, said, queue = await asyncio.gather(
            self._loaded(questions.serving),
            self._said(key, questions.without_pod),
            self._queue(key[0], questions.queue),
        )
        found = Answers(loaded=loaded, said=said, queue=queue)
        if key in self._questions and found != self._told(key):
            self._answers[key] = found
            self._jobs.add(key)

    async def _loaded(self, addresses: tuple[str, ...]) -> frozenset[str] | None:
        """What every serving pod has; None if one does not answer."""
        answers = await asyncio.gather(*(self._cluster.served(a) for a in addresses))
        known = [a for a in answers if a is not None]
        return frozenset.intersection(*known) if known and len(known) == len(answers) else None

    async def _said(self, key: JobKey, jobs: tuple[str, ...]) -> Mapping[str, str]:
        said = await self._refusals.look(key[0]) if jobs else None
        return {name: said[name] for name in jobs if name in said} if said else {}

    async def _queue(self, namespace: str, name: str) -> str | None:
        return await self._queues.look((namespace, name)) if name else None


_NONE: Final = Answers()
