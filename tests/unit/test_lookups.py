"""What is looked up for many at once: how often it is asked, and how long an answer holds."""

import asyncio
from dataclasses import dataclass, field

import pytest

from olive_operator.ask.lookups import Lookups
from olive_operator.client.apiserver import ApiError

TEAM_A, TEAM_B = ("ml", "team-a"), ("ml", "team-b")
NOT_THERE = "namespace ml has no LocalQueue team-a"


@dataclass
class Asked:
    """Answers as told, and notes what it is asked."""

    answer: str | ApiError = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.lookups = Lookups(self.ask, 30.0, lambda: self.now)

    async def ask(self, question: tuple[str, str]) -> str:
        self.asked.append(question)
        await asyncio.sleep(0)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


async def test_nothing_is_known_before_it_was_asked() -> None:
    asked = Asked(NOT_THERE)
    assert asked.lookups.known(TEAM_A) is None
    assert await asked.lookups.look(TEAM_A) == NOT_THERE
    assert asked.lookups.known(TEAM_A) == NOT_THERE


async def test_jobs_that_ask_at_once_or_soon_after_share_an_answer() -> None:
    asked = Asked()
    await asyncio.gather(*(asked.lookups.look(TEAM_A) for _ in range(50)))
    asked.now = 29
    await asked.lookups.look(TEAM_A)
    await asked.lookups.look(TEAM_B)
    assert asked.asked == [TEAM_A, TEAM_B]


async def test_an_answer_grows_old_and_holds_until_there_is_another() -> None:
    asked = Asked(NOT_THERE)
    await asked.lookups.look(TEAM_A)
    asked.answer, asked.now = ApiError(503, ""), 30
    assert await asked.lookups.look(TEAM_A) == NOT_THERE
    asked.answer = ""
    assert await asked.lookups.look(TEAM_A) == ""


async def test_an_error_that_does_not_pass_is_told_and_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = Asked(ApiError(403, '{"message": "events is forbidden"}'))
    assert await asked.lookups.look(TEAM_A) is None
    assert "events is forbidden" in caplog.text
    asked.answer = NOT_THERE
    assert await asked.lookups.look(TEAM_A) == NOT_THERE


async def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    asked = Asked(NOT_THERE)
    await asked.lookups.look(TEAM_A)
    asked.now = 10_000
    await asked.lookups.look(TEAM_B)
    assert asked.lookups.known(TEAM_A) is None
