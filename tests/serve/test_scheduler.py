"""Whose turn it is, told with a model that counts."""

from dataclasses import replace

import pytest

from olive_serve.engine import GenerationRequest
from olive_serve.messages import Accepted, Event, Failed, Finished, Refused, Started, Token
from olive_serve.worker.scheduler import Scheduler

REQUEST = GenerationRequest("ab", None, 2, 0.0, 1.0, None, (), templated=False)


class Counting:
    """A prompt of one chunk per two letters; answers with its capital letters, one a step."""

    def __init__(self, prompt: str) -> None:
        self._chunks = (len(prompt) + 1) // 2
        self._answer = iter(prompt.upper())

    def prefill(self) -> bool:
        self._chunks -= 1
        return self._chunks == 0

    def step(self) -> tuple[str, bool]:
        letter = next(self._answer)
        if letter == "!":
            raise RuntimeError("no such letter")
        return (letter, False) if letter != "." else ("", True)


class CountingModel:
    max_model_len = 10

    def encode(self, request: GenerationRequest) -> list[int]:
        return [ord(c) for c in request.prompt]

    def sequence(self, tokens: list[int], limit: int, request: GenerationRequest) -> Counting:
        return Counting(request.prompt)


def scheduler(max_running: int = 2, budget: int = 100) -> Scheduler:
    return Scheduler(CountingModel(), max_running=max_running, budget=budget)


def run(scheduler: Scheduler) -> list[Event]:
    events: list[Event] = []
    while scheduler.busy:
        scheduler.turn(events.append)
    return events


def test_requests_take_turns_token_by_token() -> None:
    it = scheduler()
    assert it.submit(1, REQUEST) == Accepted(1, 2)
    assert it.submit(2, replace(REQUEST, prompt="xy")) == Accepted(2, 2)
    assert run(it) == [
        *(Started(1), Started(2)),
        Token(1, "A"),
        *(Token(1, "B"), Finished(1, "length", 2, 2), Token(2, "X")),
        *(Token(2, "Y"), Finished(2, "length", 2, 2)),
    ]


def test_a_long_prompt_does_not_hold_up_the_other() -> None:
    it = scheduler()
    it.submit(1, replace(REQUEST, prompt="abcdefgh"))
    it.submit(2, REQUEST)
    events = run(it)
    assert events.index(Finished(2, "length", 2, 2)) < events.index(Token(1, "A"))


def test_many_long_prompts_cost_an_answer_one_chunk_per_token() -> None:
    it = scheduler(max_running=3)
    it.submit(1, replace(REQUEST, max_tokens=4, prompt="abcd"))
    events: list[Event] = []
    while Token(1, "A") not in events:
        it.turn(events.append)
    for id in (2, 3):
        it.submit(id, replace(REQUEST, prompt="abcdefgh"))
    for _ in range(3):
        it.turn(events.append)
    assert Finished(1, "length", 4, 4) in events
    order = [e.id for e in run(it) if isinstance(e, Token)]
    assert order == [2, 2, 3, 3], "prompts take turns too"


def test_requests_beyond_the_limit_wait_in_order() -> None:
    it = scheduler(max_running=1)
    for id in (1, 2, 3):
        it.submit(id, REQUEST)
    assert [e.id for e in run(it) if isinstance(e, Started)] == [1, 2, 3]


def test_a_request_starts_when_its_whole_length_fits_the_cache() -> None:
    it = scheduler(budget=9)
    for id, limit in ((1, 4), (2, 4), (3, 1)):
        it.submit(id, replace(REQUEST, max_tokens=limit, prompt="ab."))
    events: list[Event] = []
    it.turn(events.append)
    assert events == [Started(1)]
    assert it.kv_cache_usage == pytest.approx(7 / 9)
    order = [e for e in run(it) if isinstance(e, Started | Finished)]
    assert [e.id for e in order] == [1, 2, 2, 3, 3], "nobody overtakes the head of the queue"


def test_a_cancelled_request_leaves_nothing_behind() -> None:
    it = scheduler(max_running=1)
    it.submit(1, replace(REQUEST, adapter="k"))
    it.submit(2, replace(REQUEST, adapter="q"))
    it.turn(lambda event: None)
    assert it.uses("k")
    assert it.uses("q")
    for id in (1, 2, 3):
        it.cancel(id)
    assert [it.busy, it.uses("k"), it.uses("q")] == [False] * 3


def test_a_request_that_fails_fails_alone() -> None:
    it = scheduler()
    it.submit(1, replace(REQUEST, prompt="!"))
    it.submit(2, REQUEST)
    events = run(it)
    assert Failed(1, "no such letter") in events
    assert Finished(2, "length", 2, 2) in events


def test_an_answer_ends_with_the_models_end_or_a_stop_string() -> None:
    it = scheduler()
    it.submit(1, replace(REQUEST, prompt="ab.c", max_tokens=None))
    it.submit(2, replace(REQUEST, prompt="abc", max_tokens=None, stop=("BC",)))
    events = run(it)
    assert Finished(1, "stop", 4, 3) in events
    assert Finished(2, "stop", 3, 3) in events
    assert [e.text for e in events if isinstance(e, Token) and e.id == 2] == ["A", "", ""]


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "code"),
    [
        ("", 1, "invalid_prompt"),
        ("abcdefghij", None, "context_length_exceeded"),
        ("abcde", 6, "context_length_exceeded"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(
    prompt: str, max_tokens: int | None, code: str
) -> None:
    refused = scheduler().submit(1, replace(REQUEST, prompt=prompt, max_tokens=max_tokens))
    assert isinstance(refused, Refused)
    assert refused.code == code
