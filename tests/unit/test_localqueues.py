"""What is known of LocalQueues, and how often they are looked up."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from olive_operator.apiserver import ApiError
from olive_operator.cluster import Cluster
from olive_operator.localqueues import SECONDS, LocalQueues

MISSING = "namespace ml has no LocalQueue team-a; create it, or name another in spec.queue"


@dataclass
class Kueue:
    """Answers as told, and notes what it is asked."""

    answer: str | Exception = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: float = 0.0

    async def local_queue(self, namespace: str, name: str) -> str:
        self.asked.append((namespace, name))
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def queues(self) -> LocalQueues:
        return LocalQueues(cast(Cluster, self), lambda: self.now)


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ("", ""),
        (MISSING, MISSING),
        (
            ApiError(403, '{"message": "localqueues is forbidden"}'),
            "LocalQueue team-a cannot be looked up: 403 localqueues is forbidden",
        ),
        (ApiError(503, ""), None),
    ],
    ids=["there", "not there", "forbidden", "no answer"],
)
async def test_what_is_known_after_a_look(answer: Any, known: str | None) -> None:
    queues = Kueue(answer).queues
    assert queues.known("ml", "team-a") is None
    await queues.look("ml", "team-a")
    assert queues.known("ml", "team-a") == known


def test_a_job_without_a_queue_misses_none() -> None:
    assert Kueue().queues.known("ml", None) == ""


async def test_jobs_that_ask_at_once_or_soon_after_share_an_answer() -> None:
    kueue = Kueue()
    queues = kueue.queues
    await asyncio.gather(*(queues.look("ml", "team-a") for _ in range(50)))
    kueue.now = SECONDS - 1
    await queues.look("ml", "team-a")
    await queues.look("ml", "team-b")
    assert kueue.asked == [("ml", "team-a"), ("ml", "team-b")]


async def test_an_answer_grows_old_and_holds_until_there_is_another() -> None:
    kueue = Kueue(MISSING)
    queues = kueue.queues
    await queues.look("ml", "team-a")
    kueue.answer, kueue.now = ApiError(503, ""), SECONDS
    await queues.look("ml", "team-a")
    assert queues.known("ml", "team-a") == MISSING
    kueue.answer = ""
    await queues.look("ml", "team-a")
    assert queues.known("ml", "team-a") == ""
