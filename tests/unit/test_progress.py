"""How far running stages are: whose log is read when, and what is known of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from olive_contract.stage import Progress
from olive_operator.ask.progress import OPEN, Logs
from olive_operator.client.apiserver import ApiError
from olive_operator.watch.cache import JobKey

TRAVEL, FOOD = ("ml", "travel"), ("ml", "food")


class Told:
    """A cluster whose pods log as told."""

    def __init__(self) -> None:
        self.logs: dict[str, list[str]] = {}
        self.read: asyncio.Queue[str] = asyncio.Queue()
        self.silent = False

    async def log(self, namespace: str, pod: str) -> list[str]:
        self.read.put_nowait(pod)
        if self.silent:
            raise ApiError(500, "dial tcp: connection refused")
        return self.logs[pod]


class Story:
    """Logs that are read 50 times a second, and who was told that there is news."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.cluster = Told()
        self.news: asyncio.Queue[JobKey] = asyncio.Queue()
        unchecked: Any = self.cluster
        self.logs = Logs(unchecked, seconds, self.news.put_nowait)

    def percent(self, key: JobKey) -> dict[str, int | None]:
        return {pod: progress.percent for pod, progress in self.logs.progress(key).items()}

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[None]:
        """Read meanwhile."""
        running = asyncio.create_task(self.logs.run())
        async with asyncio.timeout(10):
            yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def line(percent: int) -> str:
    return Progress(percent=percent).to_line()


@pytest.mark.parametrize(
    ("pods", "seconds"), [(1, 5.0), (10, 0.5), (50, 0.1), (310, 0.1)], ids=lambda v: str(v)
)
async def test_all_pods_together_have_one_budget(pods: int, seconds: float) -> None:
    story = Story(seconds=5)
    for number in range(pods):
        story.logs.follow(("ml", f"job-{number}"), (f"pod-{number}",))
    assert story.logs.pause() == pytest.approx(seconds)


async def test_last_line_of_progress_counts_and_there_is_news_only_when_it_is_another() -> None:
    story = Story()
    story.cluster.logs = {"p": [line(5), line(10), "some other words"]}
    story.logs.follow(TRAVEL, ("p",))
    async with story.runs():
        assert await story.news.get() == TRAVEL
        assert story.percent(TRAVEL) == {"p": 10}
        for _ in range(3):
            await story.cluster.read.get()
        assert story.news.empty()
        story.cluster.logs = {"p": [line(20)]}
        await story.news.get()
        assert story.percent(TRAVEL) == {"p": 20}


async def test_progress_stays_known_where_the_log_has_moved_on() -> None:
    story = Story()
    story.cluster.logs = {"p": [line(10)], "q": [line(1)]}
    story.logs.follow(TRAVEL, ("p", "q"))
    async with story.runs():
        await story.news.get()
        await story.news.get()
        story.cluster.logs = {"p": ["words"], "q": [line(2)]}
        await story.news.get()
    assert story.percent(TRAVEL) == {"p": 10, "q": 2}


async def test_logs_that_do_not_come_leave_room_for_what_matters() -> None:
    story, never = Story(), asyncio.Event()
    reading: list[str] = []

    async def log(namespace: str, pod: str) -> list[str]:
        reading.append(pod)
        await never.wait()
        return []

    pause, turns, more = story.logs.pause, 0, asyncio.Event()

    def paused() -> float:
        nonlocal turns
        turns += 1
        if turns > OPEN + 5:
            more.set()
        return pause()

    story.logs.pause = paused  # type: ignore[method-assign]
    story.cluster.log = log  # type: ignore[method-assign]
    story.logs.follow(TRAVEL, tuple(f"pod-{number}" for number in range(3 * OPEN)))
    async with story.runs():
        await more.wait()
    assert len(reading) == len(set(reading)) == OPEN


async def test_pods_have_their_turn_one_after_the_other_whosever_they_are() -> None:
    story = Story()
    story.cluster.logs = {"p": [], "q": [], "r": []}
    story.logs.follow(TRAVEL, ("p", "q"))
    story.logs.follow(FOOD, ("r",))
    async with story.runs():
        read = [await story.cluster.read.get() for _ in range(6)]
    assert read == ["p", "q", "r"] * 2


async def test_plan_that_asks_the_same_again_costs_a_pod_neither_its_turn_nor_what_is_known() -> (
    None
):
    story = Story()
    story.cluster.logs = {"p": [line(10)], "q": []}
    story.logs.follow(TRAVEL, ("p", "q"))
    async with story.runs():
        await story.news.get()
        story.logs.follow(TRAVEL, ("p", "q"))
        assert story.percent(TRAVEL) == {"p": 10}
        assert [await story.cluster.read.get() for _ in range(3)] == ["p", "q", "p"]


async def test_pod_that_runs_no_more_is_neither_read_nor_known() -> None:
    story = Story()
    story.cluster.logs = {"p": [line(10)], "q": [line(3)]}
    story.logs.follow(TRAVEL, ("p",))
    async with story.runs():
        await story.news.get()
        story.logs.follow(TRAVEL, ())
        assert story.percent(TRAVEL) == {}
        story.logs.follow(FOOD, ("q",))
        await story.news.get()
        assert story.percent(FOOD) == {"q": 3}
        while not story.cluster.read.empty():
            story.cluster.read.get_nowait()
        assert [await story.cluster.read.get() for _ in range(3)] == ["q"] * 3


async def test_log_that_nobody_can_read_keeps_nobody_from_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    story = Story()
    story.cluster.logs = {"p": [line(10)]}
    story.logs.follow(FOOD, ("nobody knows it",))
    story.logs.follow(TRAVEL, ("p",))
    async with story.runs():
        assert await story.news.get() == TRAVEL
    assert "the log of ml/nobody knows it: KeyError" in caplog.text


async def test_while_no_node_answers_all_are_asked_seldom_and_one_answer_ends_that() -> None:
    story = Story(seconds=0.001)
    story.logs.follow(TRAVEL, ("p",))
    usual = story.logs.pause()
    story.cluster.silent = True
    for _ in range(20):
        await story.logs._read(TRAVEL, "p")
    assert story.logs.pause() == 5.0
    story.cluster.silent, story.cluster.logs = False, {"p": [line(10)]}
    await story.logs._read(TRAVEL, "p")
    assert story.logs.pause() == usual
