"""What only asking tells: asked beside the passes, kept, and a job poked when it has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from olive_contract.stage import Progress
from olive_operator.ask.inquiries import Answers, Inquiries, Questions
from olive_operator.scheduling.queue import Queue
from olive_operator.watch.cache import JobKey

TRAVEL = ("ml", "travel")


class Told:
    """A cluster that answers as told."""

    def __init__(self) -> None:
        self.logs: dict[str, list[str]] = {}
        self.loaded: dict[str, frozenset[str] | None] = {}
        self.refused: dict[str, str] = {}
        self.queues: dict[tuple[str, str], str] = {}

    async def log(self, namespace: str, pod: str) -> list[str]:
        return self.logs[pod]

    async def served(self, address: str) -> frozenset[str] | None:
        return self.loaded[address]

    async def refusals(self, namespace: str) -> dict[str, str]:
        return dict(self.refused)

    async def local_queue(self, namespace: str, name: str) -> str:
        return self.queues[namespace, name]


class Story:
    """Inquiries that are going on, every 20 ms, and the queue that they poke."""

    def __init__(self, cluster: Told) -> None:
        self.cluster = cluster
        self.jobs: Queue[JobKey] = Queue()
        unchecked: Any = cluster
        self.inquiries = Inquiries(unchecked, self.jobs, 0.02)

    async def asked(self, **questions: Any) -> Answers:
        """What is known when the job has been poked for it."""
        self.inquiries.ask(TRAVEL, Questions(**questions))
        return await self.told()

    async def told(self) -> Answers:
        async with asyncio.timeout(10):
            got = await self.jobs.get()
        assert got is not None
        assert got[0] == TRAVEL
        self.jobs.done(TRAVEL)
        return self.inquiries.answers(TRAVEL, None)


@asynccontextmanager
async def story() -> AsyncIterator[Story]:
    found = Story(Told())
    running = asyncio.create_task(found.inquiries.run())
    yield found
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def line(percent: int) -> str:
    return Progress(percent=percent).to_line()


async def test_progress_is_among_the_answers_and_the_job_is_poked_for_it() -> None:
    async with story() as told:
        told.cluster.logs = {"p": [line(10)]}
        assert (await told.asked(running=("p",))).progress["p"].percent == 10


@pytest.mark.parametrize(
    ("loaded", "found"),
    [
        ({"a": frozenset({"k1", "k2"}), "b": frozenset({"k1"})}, frozenset({"k1"})),
        ({"a": frozenset({"k1"}), "b": None}, None),
    ],
    ids=["what all have", "one does not answer"],
)
async def test_what_a_serving_has_loaded(
    loaded: dict[str, frozenset[str] | None], found: frozenset[str] | None
) -> None:
    async with story() as told:
        told.cluster.loaded = loaded
        told.cluster.refused = {"j": "something, so that the job is poked"}
        answers = await told.asked(serving=("a", "b"), without_pod=("j",))
        assert answers.loaded == found


async def test_warning_about_a_job_whose_pod_does_not_come() -> None:
    async with story() as told:
        told.cluster.refused = {"j1": "exceeded quota"}
        found = await told.asked(without_pod=("j1", "j2"))
        assert found.said == {"j1": "exceeded quota"}


async def test_question_that_is_no_more_is_neither_asked_nor_answered() -> None:
    async with story() as told:
        told.cluster.refused = {"j1": "exceeded quota", "j2": "no such PriorityClass"}
        await told.asked(without_pod=("j1",))
        told.inquiries.ask(TRAVEL, Questions())
        assert told.inquiries.answers(TRAVEL, None).said == {}
        assert (await told.asked(without_pod=("j2",))).said == {"j2": "no such PriorityClass"}


async def test_answer_that_cannot_be_had_keeps_nobody_from_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with story() as told:
        told.inquiries.ask(("ml", "food"), Questions(serving=("nobody knows it",)))
        for loaded in (frozenset({"k1"}), frozenset({"k2"})):
            told.cluster.loaded = {"a": loaded}
            assert (await told.asked(serving=("a",))).loaded == loaded
    assert "ml/food: KeyError" in caplog.text
