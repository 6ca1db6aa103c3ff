"""Whose turn it is, told with a model for which every letter is followed by the next one."""

import json
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pytest
import tiny_model
from tokenizers import Tokenizer

from olive_serve.engine import GenerationRequest
from olive_serve.messages import Accepted, Event, Failed, Finished, Refused, Started, Token
from olive_serve.sampling_params import SamplingParams
from olive_serve.worker.grammar import Grammars
from olive_serve.worker.rows import Rows
from olive_serve.worker.sampling import Logits, Sampler
from olive_serve.worker.scheduler import PART_SECONDS, Pace, Scheduler

GREEDY = SamplingParams(temperature=0.0)
REQUEST = GenerationRequest((97, 98), None, 2, GREEDY)
TOKENIZER = Tokenizer.from_str(json.dumps(tiny_model.tokenizer()))
BASE, END = -1, ord("!")
GRAMMARS = Grammars(TOKENIZER, vocabulary=tiny_model.VOCAB, ends=frozenset({END}))
PART = 64
"""Tokens of a prompt that are read at a time: at this pace they take just as long as they may."""


class NoCache:
    def copy(self, source: int, target: int, tokens: int) -> None: ...

    def exchange(self, one: int, other: int, tokens: int) -> None: ...

    def forget(self, row: int, *, keep: int) -> None: ...


class Alphabet:
    """The letter after the last one; after ``broken``, nothing can be computed."""

    vocabulary = tiny_model.VOCAB

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.broken = ord("?")

    def decode(self, tokens: list[int], lengths: list[int], adapters: list[int]) -> Logits:
        self.batches.append(len(tokens))
        return np.stack([self._after(token) for token in tokens])

    def prefill(self, row: int, tokens: list[int], length: int, adapter: int) -> Logits:
        return self._after(tokens[-1])

    def _after(self, token: int) -> Logits:
        if token == self.broken:
            raise RuntimeError("no such letter")
        logits = np.zeros(tiny_model.VOCAB, np.float32)
        logits[END if chr(token) == "." else token + 1] = 1
        return logits


class Story:
    def __init__(self, max_running: int = 2, budget: int = 1000, longest: int = 1000) -> None:
        self.model = Alphabet()
        self.rows = Rows(NoCache(), count=2 * max_running, budget=budget)
        self.scheduler = Scheduler(
            self.model,
            self.rows,
            TOKENIZER,
            GRAMMARS,
            ends=frozenset({END}),
            max_model_len=longest,
            max_running=max_running,
            pace=Pace(clock=partial(next, count(0, PART_SECONDS))),
        )
        self.events: list[Event] = []

    def ask(self, id: int, prompt: str = "ab", adapter: int = BASE, **changes: object) -> Event:
        tokens = tuple(TOKENIZER.encode(prompt).ids)
        request = replace(REQUEST, prompt=tokens, **changes)  # type: ignore[arg-type]
        return self.scheduler.submit(id, request, adapter)

    def run(self) -> list[Event]:
        while self.scheduler.busy:
            self.turn()
        return self.events

    def turn(self) -> None:
        self.scheduler.turn(self.events.append)

    def text(self, id: int, choice: int = 0) -> str:
        told = [e for e in self.events if isinstance(e, Token)]
        return "".join(e.text for e in told if (e.id, e.choice) == (id, choice))


def test_answers_get_a_token_each_in_one_batch() -> None:
    it = Story()
    assert it.ask(1, max_tokens=4) == Accepted(1, 2)
    assert it.ask(2, "xw", max_tokens=4) == Accepted(2, 2)
    it.run()
    assert (it.text(1), it.text(2)) == ("cdef", "xyz{")
    assert it.model.batches == [1, 2, 2, 1], "the first token is that of reading the prompt"
    assert it.events[:2] == [Started(1, 0), Started(2, 0)]
    assert Finished(1, 0, "length", 4) in it.events


def test_a_long_prompt_costs_an_answer_one_part_per_token() -> None:
    it = Story(max_running=3)
    it.ask(1, max_tokens=6)
    it.turn()
    for id in (2, 3):
        it.ask(id, f"{id}" * 3 * PART)
    for _ in range(5):
        it.turn()  # a token of the answer
        it.turn()  # a part of a prompt
    assert it.text(1) == "cdefgh"
    it.run()
    order = [e.id for e in it.events if isinstance(e, Token) and e.id != 1]
    assert order == [2, 2, 3, 3], "prompts take turns too"


def test_requests_beyond_the_limit_wait_in_order() -> None:
    it = Story(max_running=1)
    for id in (1, 2, 3):
        it.ask(id)
    assert [e.id for e in it.run() if isinstance(e, Started)] == [1, 2, 3]


def test_a_request_starts_when_its_whole_length_fits_the_cache() -> None:
    it = Story(budget=9)
    for id, limit in ((1, 4), (2, 4), (3, 1)):
        it.ask(id, "abc", max_tokens=limit)
    it.turn()
    assert it.rows.usage == pytest.approx(7 / 9)
    order = [e.id for e in it.run() if isinstance(e, Started | Finished)]
    assert order == [1, 1, 2, 2, 3, 3], "nobody overtakes the head of the queue"


def test_a_cancelled_request_leaves_nothing_behind() -> None:
    it = Story(max_running=2)
    it.ask(1, "a", adapter=5, max_tokens=50)
    it.ask(2, "b" * 3 * PART, adapter=6)
    it.ask(3, adapter=7)
    it.turn()
    assert [it.scheduler.uses(adapter) for adapter in (5, 6, 7, 8)] == [True, True, True, False]
    for id in (1, 2, 3, 4):
        it.scheduler.cancel(id)
    assert not it.scheduler.busy
    assert [it.scheduler.uses(adapter) for adapter in (5, 6, 7)] == [False] * 3
    assert it.rows.usage == 0


def test_a_prompt_that_cannot_be_computed_fails_alone() -> None:
    it = Story()
    it.ask(1, "?")
    it.ask(2)
    assert Failed(1, "no such letter") in it.run()
    assert it.text(2) == "cd"


def test_a_batch_that_cannot_be_computed_fails_and_the_next_does_not() -> None:
    it = Story()
    it.ask(1, ">", max_tokens=5)
    it.turn()
    it.turn()
    assert it.events[-1] == Failed(1, "no such letter")
    it.ask(2)
    it.run()
    assert it.text(2) == "cd"
    assert it.rows.usage == 0


def test_an_answer_ends_with_the_models_end_or_a_stop_string() -> None:
    it = Story()
    it.ask(1, "-", max_tokens=None)
    it.ask(2, "b", max_tokens=None, stop=("EF", "ef"))
    it.run()
    assert it.text(1) == "."
    assert it.text(2) == "cd"
    assert Finished(1, 0, "stop", 2) in it.events


def test_a_request_for_several_choices_reads_its_prompt_once() -> None:
    it = Story(max_running=3)
    it.ask(1, "a" * 40, n=3, sampling=SamplingParams(seed=4, temperature=50.0, top_k=40))
    it.run()
    texts = [it.text(1, choice) for choice in range(3)]
    assert len(set(texts)) > 1, "each choice draws for itself"
    assert [e.choice for e in it.events if isinstance(e, Finished)] == [0, 1, 2]
    assert len([e for e in it.events if isinstance(e, Started)]) == 1


def test_a_choice_that_cannot_be_drawn_ends_its_request_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = Story(max_running=4)
    broken = SamplingParams(temperature=0.0, logit_bias=((5, 1.0),))
    it.ask(1, "a", n=3, max_tokens=1, sampling=broken)
    it.ask(2, max_tokens=4)

    def fails(sampler: Sampler, logits: Logits) -> None:
        raise ValueError("no number")

    monkeypatch.setattr(Sampler, "_penalize", fails)
    it.run()
    told = [e for e in it.events if isinstance(e, Failed | Token) and e.id == 1]
    assert told == [Failed(1, "no token could be chosen: no number")]
    assert it.text(2) == "cdef"
    assert it.rows.usage == 0


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "code"),
    [
        ("", 1, "invalid_prompt"),
        ("a" * 10, None, "context_length_exceeded"),
        ("a" * 6, 5, "context_length_exceeded"),
    ],
)
def test_what_does_not_fit_is_refused(prompt: str, max_tokens: int | None, code: str) -> None:
    it = Story(longest=10)
    answer = it.ask(1, prompt, max_tokens=max_tokens)
    assert isinstance(answer, Refused)
    assert answer.code == code
    assert not it.scheduler.busy


def test_parts_of_prompts_are_as_long_as_their_time_allows() -> None:
    now = 0.0

    def compute(tokens: int, seconds_per_token: float) -> None:
        def work() -> Logits:
            nonlocal now
            now += tokens * seconds_per_token
            return np.zeros(1, np.float32)

        pace.measure(tokens, work)

    pace = Pace(clock=lambda: now)
    for seconds_per_token, fits in ((0.001, 48), (0.00001, 512), (0.0005, 96), (1.0, 16)):
        for _ in range(60):
            compute(pace.tokens, seconds_per_token)
        assert pace.tokens == fits
