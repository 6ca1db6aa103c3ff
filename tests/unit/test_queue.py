"""The queue's contract: no duplicates, one worker a key, nothing poked is lost."""

import asyncio
from typing import TypeVar

import pytest

from olive_operator.scheduling.queue import Queue

K = TypeVar("K")


async def taken(queue: Queue[K]) -> K:
    """The key that comes."""
    got = await queue.get()
    assert got is not None
    return got[0]


class Clock:
    """Seconds as told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_key_that_is_added_twice_comes_once() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await taken(queue), await taken(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_what_is_preferred_comes_first_if_it_is_due_at_all() -> None:
    queue: Queue[str] = Queue()
    for key in "abcd":
        queue.add(key)
    queue.prefer(["c", "x", "b"])
    assert [await taken(queue) for _ in range(4)] == ["c", "b", "a", "d"]


async def test_key_that_is_poked_while_worked_on_comes_again_when_that_is_done() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await taken(queue) == "a"


async def test_nothing_comes_while_the_queue_is_held_and_nothing_is_lost() -> None:
    queue: Queue[str] = Queue()
    queue.hold(True)
    workers = [asyncio.create_task(taken(queue)) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    for _ in range(5):
        await asyncio.sleep(0)
    assert (len(queue), [w.done() for w in workers]) == (2, [False, False])
    queue.hold(False)
    assert sorted(await asyncio.gather(*workers)) == ["a", "b"]


async def test_who_waits_at_a_held_queue_is_told_when_it_is_closed() -> None:
    queue: Queue[str] = Queue()
    queue.hold(True)
    queue.add("a")
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    assert await worker is None


async def test_key_for_later_comes_when_its_time_has_come() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add_after("late", 10)
    queue.add_after("later", 20)
    getting = asyncio.create_task(taken(queue))
    await asyncio.sleep(0)
    assert not getting.done()
    clock.now = 11
    queue.add_after("other", 0)
    assert await getting == "late"


async def test_earlier_of_two_times_counts() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add_after("a", 20)
    queue.add_after("a", 5)
    queue.add_after("a", 30)
    clock.now = 6
    assert await taken(queue) == "a"
    queue.done("a")
    clock.now = 100
    queue.add("b")
    assert await taken(queue) == "b"
    assert len(queue) == 0


async def test_times_that_no_longer_count_are_not_kept() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    for _ in range(1000):
        queue.add_after("a", 1000)
        queue.add("a")
        assert await taken(queue) == "a"
        queue.done("a")
    assert len(queue._later) < 100
    queue.add_after("b", 5)
    clock.now = 6
    assert await taken(queue) == "b"


async def test_wait_in_the_queue_is_told() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add("a")
    clock.now = 3
    assert await queue.get() == ("a", 3)


async def test_getter_that_waits_is_woken_by_a_poke() -> None:
    queue: Queue[str] = Queue()
    getting = asyncio.create_task(taken(queue))
    await asyncio.sleep(0)
    queue.add("a")
    async with asyncio.timeout(5):
        assert await getting == "a"


async def test_closed_queue_lets_everyone_go_whatever_is_due() -> None:
    queue: Queue[str] = Queue()
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    queue.add("a")
    async with asyncio.timeout(5):
        assert await getting is None
        assert await queue.get() is None


@pytest.mark.parametrize("turns", range(5))
async def test_worker_that_is_cancelled_while_a_key_comes_ends(turns: int) -> None:
    queue: Queue[str] = Queue()
    queue.add_after("much later", 1000)
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("now")
    for _ in range(turns):
        await asyncio.sleep(0)
    if worker.done():
        return
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker


async def test_key_goes_to_another_worker_where_the_one_it_woke_is_cancelled() -> None:
    queue: Queue[str] = Queue()
    workers = [asyncio.create_task(taken(queue)) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    workers[0].cancel()
    async with asyncio.timeout(5):
        assert await workers[1] == "a"


async def test_workers_that_wait_get_what_becomes_due_later() -> None:
    queue: Queue[str] = Queue()
    workers = [asyncio.create_task(taken(queue)) for _ in range(3)]
    await asyncio.sleep(0)
    for key, seconds in (("c", 0.03), ("a", 0.01), ("b", 0.02)):
        queue.add_after(key, seconds)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*workers) == ["a", "b", "c"]


async def test_key_that_is_taken_does_not_come_again_for_what_it_was_to_come_for_later() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add_after("a", 10)
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add_after("a", 30)
    queue.done("a")
    clock.now = 20
    queue.add("b")
    assert await taken(queue) == "b"
    assert len(queue) == 0
    clock.now = 31
    queue.add("c")
    assert [await taken(queue), await taken(queue)] == ["c", "a"]
