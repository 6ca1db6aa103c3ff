"""kopf, as far as it is only a watch of ours: it may end, and it tells whether we live."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import kopf
import pytest
import pytest_asyncio
from builders import spec

from olive_operator.client.apiserver import ApiServer, Body
from olive_operator.watch import handlers
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.jobs import Jobs
from olive_operator.watch.kinds import JOB

TRAVEL = ("ml", "travel")


def body(version: int, **meta: Any) -> Body:
    known = {"name": "travel", "namespace": "ml", "uid": "u1", "generation": 1}
    return {"metadata": {**known, "resourceVersion": str(version), **meta}, "spec": spec()}


class Empty(ApiServer):
    """An API server that has no jobs."""

    def __init__(self) -> None:
        """It has no address."""

    async def request(self, *asked: Any, **options: Any) -> Body:
        return {"metadata": {"resourceVersion": "1"}, "items": []}


class Watched:
    """The jobs, and what was poked for them."""

    def __init__(self) -> None:
        self.cache, self.server = Cache(), Empty()
        self.poked: asyncio.Queue[JobKey] = asyncio.Queue()
        self.jobs = Jobs(self.server, (), self.cache, self._poke, None)

    def _poke(self, keys: Any, after: float = 0.0) -> None:
        for key in keys:
            self.poked.put_nowait(key)

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[None]:
        """Watch meanwhile, and leave no thread behind."""
        running = asyncio.create_task(self.jobs.run())
        async with asyncio.timeout(10):
            yield
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            for thread in threading.enumerate():
                if thread.name == "kopf":
                    await asyncio.to_thread(thread.join, 10)
                    assert not thread.is_alive()


@pytest_asyncio.fixture
async def watched() -> Watched:
    """Not running yet."""
    return Watched()


async def test_kopf_that_ends_with_an_error_is_begun_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    async def operator(**given: Any) -> None:
        begun.append(1)
        if len(begun) < 3:
            raise RuntimeError("Error in the watch-stream: internal error")
        watched.jobs._tell(None, body(5))
        await asyncio.Event().wait()

    monkeypatch.setattr(kopf, "operator", operator)
    monkeypatch.setattr("olive_operator.scheduling.backoff.random.uniform", lambda low, high: 0.0)
    async with watched.runs():
        assert await watched.poked.get() == TRAVEL
    assert len(begun) == 3


async def test_kopf_that_is_ended_in_the_middle_of_an_event_leaves_no_traceback(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inside, told = asyncio.Event(), asyncio.get_running_loop()

    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        with suppress(GeneratorExit):
            yield
        yield

    async def watch() -> AsyncIterator[int]:
        async with stubborn():
            yield 1

    async def operator(**_: Any) -> None:
        watching.append(watch())
        await anext(watching[0])
        told.call_soon_threadsafe(inside.set)
        await asyncio.Event().wait()

    watching: list[AsyncIterator[int]] = []
    monkeypatch.setattr(kopf, "operator", operator)
    async with watched.runs():
        await inside.wait()
    assert not [r.message for r in caplog.records if r.name == "asyncio"]


async def test_jobs_come_change_and_go(watched: Watched) -> None:
    take = watched.jobs._take
    take("ADDED", body(5))
    take("MODIFIED", body(6, annotations={"olive-operator.io/retry": "1"}))
    take("MODIFIED", body(7, annotations={"olive-operator.io/retry": "1"}, labels={"x": "y"}))
    known = watched.cache.get(JOB, TRAVEL)
    assert known is not None
    assert (known.version, known.record.seen.retry) == (7, "1")
    take("DELETED", body(8))
    assert watched.cache.get(JOB, TRAVEL) is None
    assert watched.poked.qsize() == 3, "a label is nothing to us"


async def test_what_kopf_tells_late_is_no_news(watched: Watched) -> None:
    watched.jobs._take("ADDED", body(6))
    watched.jobs._take(None, body(5))
    assert watched.poked.qsize() == 1


async def test_echo_of_a_write_of_our_own_is_not_even_read(watched: Watched) -> None:
    watched.jobs._take("ADDED", body(6))
    echo = body(6)
    del echo["spec"]
    watched.jobs._take("MODIFIED", echo)
    assert watched.poked.qsize() == 1


async def test_job_that_went_unseen_is_forgotten_when_a_watch_could_not_go_on(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def operator(**given: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(kopf, "operator", operator)
    async with watched.runs():
        await watched.jobs.listed.wait()
        watched.jobs._take(None, body(1))
        assert await watched.poked.get() == TRAVEL
        watched.jobs.doubt()
        assert await watched.poked.get() == TRAVEL
    assert watched.cache.get(JOB, TRAVEL) is None


async def test_kopf_that_found_nothing_to_watch_is_begun_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An API server that has just started does not tell of our kinds yet."""
    begun: list[int] = []

    async def operator(insights: Any, **given: Any) -> None:
        begun.append(1)
        if len(begun) > 1:
            insights.watched_resources.add("optimizationjobs")
            watched.jobs._tell(None, body(5))
        insights.ready_resources.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(kopf, "operator", operator)
    monkeypatch.setattr("olive_operator.scheduling.backoff.random.uniform", lambda low, high: 0.0)
    async with watched.runs():
        assert await watched.poked.get() == TRAVEL
    assert len(begun) == 2
    assert "knows no optimizationjobs.olive-operator.io; begun again" in caplog.text


async def test_job_that_went_while_kopf_began_anew_is_forgotten(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf lists nothing, and says nothing: the job was the last."""
    fails = threading.Event()

    async def operator(**given: Any) -> None:
        if fails.is_set():
            await asyncio.Event().wait()
        await asyncio.to_thread(fails.wait, 10)
        raise RuntimeError("Error in the watch-stream: internal error")

    monkeypatch.setattr(kopf, "operator", operator)
    monkeypatch.setattr("olive_operator.watch.jobs._CALM_SECONDS", 0.0)
    async with watched.runs():
        await watched.jobs.listed.wait()
        watched.jobs._take("ADDED", body(1))
        assert await watched.poked.get() == TRAVEL
        fails.set()
        assert await watched.poked.get() == TRAVEL
    assert watched.cache.get(JOB, TRAVEL) is None


@pytest.mark.parametrize("alive", [True, False])
async def test_probe_tells_whether_the_loop_turns(alive: bool) -> None:
    registry = kopf.OperatorRegistry()
    handlers.register(registry, lambda what, body: None, lambda: alive)
    registered: Any = registry._activities.get_all_handlers()
    (probe,) = [handler.fn for handler in registered if handler.id == "loop"]
    if alive:
        assert await probe() == "turns"
    else:
        with pytest.raises(kopf.PermanentError, match="has not turned"):
            await probe()


def test_what_kopf_tells_of_when_the_process_ends_is_nobodys_any_more() -> None:
    async def made() -> Watched:
        return Watched()

    watched = asyncio.run(made())  # its loop is closed now
    watched.jobs._tell("ADDED", body(1))
    assert watched.cache.get(JOB, TRAVEL) is None
