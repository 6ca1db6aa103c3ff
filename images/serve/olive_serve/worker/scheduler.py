"""Who is computed when: one token of every answer, and a part of one prompt, in turns.

A part is as long as ``PART_SECONDS`` allow, so a long prompt holds no answer up for longer than
that; where several prompts are read, they take turns. Requests start in the order of their arrival,
each when its whole length fits the key-value cache: what has begun is never taken back.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from tokenizers import Tokenizer

from olive_serve.engine import GenerationRequest, RequestRefused
from olive_serve.messages import Accepted, Event, Failed, Finished, Refused, Started, Token
from olive_serve.worker.answer import Answer, logprobs_of
from olive_serve.worker.grammar import Grammar, Grammars
from olive_serve.worker.rows import Row, Rows
from olive_serve.worker.sampling import Logits, Sampler
from olive_serve.worker.stop_strings import StopStrings

PART_SECONDS: Final = 0.05
"""Of computing at a stretch, for a prompt."""
PART_TOKENS: Final = (16, 512)
"""Fewest and most tokens of a part, and it is a multiple of the fewest: the kernels' own step."""


class Model(Protocol):
    """What computes, as ``model.Model`` does."""

    @property
    def vocabulary(self) -> int: ...

    def decode(self, tokens: list[int], lengths: list[int], adapters: list[int]) -> Logits: ...

    def prefill(self, row: int, tokens: list[int], length: int, adapter: int) -> Logits: ...


@dataclass(eq=False)
class _Reading:
    """A request whose prompt is being read, in the first of its answers' rows."""

    id: int
    request: GenerationRequest
    prompt: list[int]
    adapter: int
    limit: int
    grammar: Grammar | None
    rows: list[Row] = field(default_factory=list)

    @property
    def lengths(self) -> list[int]:
        return [len(self.prompt) + self.limit] * self.request.n


class Pace:
    """How many tokens of a prompt fit a part, by how fast the last one was."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._tokens = 64.0

    @property
    def tokens(self) -> int:
        fewest, most = PART_TOKENS
        return max(fewest, min(most, int(self._tokens) // fewest * fewest))

    def measure(self, tokens: int, compute: Callable[[], Logits]) -> Logits:
        """The result, and a new measure of the pace."""
        began = self._clock()
        result = compute()
        seconds = max(self._clock() - began, 1e-6)
        if tokens >= PART_TOKENS[0]:
            self._tokens += 0.3 * (PART_SECONDS * tokens / seconds - self._tokens)
        return result


class Scheduler:
    """Requests of one model. ``ends`` are the tokens after which it says no more."""

    def __init__(
        self,
        model: Model,
        rows: Rows,
        tokenizer: Tokenizer,
        grammars: Grammars,
        *,
        ends: frozenset[int],
        max_model_len: int,
        max_running: int,
        pace: Pace | None = None,
    ) -> None:
        self._model = model
        self._rows = rows
        self._tokenizer = tokenizer
        self._grammars = grammars
        self._ends = ends
        self._max_model_len = max_model_len
        self._max_running = max_running
        self._pace = pace or Pace()
        self._waiting: deque[_Reading] = deque()
        self._reading: deque[_Reading] = deque()
        self._answers: list[Answer] = []
        self._decode_next = True

    @property
    def busy(self) -> bool:
        """Is there anything to compute?"""
        return bool(self._waiting or self._reading or self._answers)

    def uses(self, adapter: int) -> bool:
        """Does any request, running or waiting, need the adapter of this number?"""
        reading = any(r.adapter == adapter for r in (*self._waiting, *self._reading))
        return reading or any(a.row.adapter == adapter for a in self._answers)

    def submit(self, id: int, request: GenerationRequest, adapter: int) -> Event:
        """Queue a request: Accepted or Refused."""
        prompt = list(request.prompt)
        try:
            limit = answer_limit(len(prompt), request.max_tokens, self._max_model_len)
            grammar = self._grammar(request)
            reading = _Reading(id, request, prompt, adapter, limit, grammar)
            self._refuse_too_many(reading)
            self._refuse_unknown(request)
        except RequestRefused as refusal:
            return Refused(id, refusal.code, str(refusal))
        self._waiting.append(reading)
        return Accepted(id, len(prompt))

    def _grammar(self, request: GenerationRequest) -> Grammar | None:
        try:
            return self._grammars.begin(request.grammar) if request.grammar else None
        except ValueError as error:
            raise RequestRefused("invalid_json_schema", str(error)) from error

    def _refuse_too_many(self, reading: _Reading) -> None:
        """RequestRefused for choices that could never be computed together."""
        wanted, tokens = reading.request.n, sum(reading.lengths)
        if wanted > self._max_running:
            most = f"at most {self._max_running} choices are computed at a time"
        elif tokens > self._rows.budget:
            most = f"{tokens} tokens are more than the {self._rows.budget} that there is room for"
        else:
            return
        raise RequestRefused("too_many_choices", f"n: {most}. Please ask for fewer.")

    def _refuse_unknown(self, request: GenerationRequest) -> None:
        for token, _ in request.sampling.logit_bias:
            if not 0 <= token < self._model.vocabulary:
                known = f"the model's tokens are 0 to {self._model.vocabulary - 1}"
                raise RequestRefused("unknown_token", f"logit_bias: {token} is no token; {known}.")

    def cancel(self, id: int) -> None:
        """Forget a request, wherever it is; nothing if it has ended."""
        self._waiting = deque(r for r in self._waiting if r.id != id)
        for reading in [r for r in self._reading if r.id == id]:
            self._end_reading(reading)
        for answer in [a for a in self._answers if a.request == id]:
            self._end(answer)

    def turn(self, emit: Callable[[Event], None]) -> None:
        """Start what may start; then a token for every answer or, every other time, a part of one
        prompt. Commands are obeyed between the two."""
        for reading in self._startable():
            emit(Started(reading.id, reading.rows[0].length))
        if self._reading and not (self._decode_next and self._answers):
            self._decode_next = True
            self._read(self._reading[0], emit)
        elif self._answers:
            self._decode_next = False
            self._decode(emit)

    def _startable(self) -> Iterator[_Reading]:
        """Strictly in order: a long request at the head is not overtaken for ever."""
        while self._waiting and self._rows.fits(self._waiting[0].lengths):
            first = self._waiting[0]
            running = len(self._answers) + sum(r.request.n for r in self._reading)
            if running + first.request.n > self._max_running:
                return
            self._waiting.popleft()
            prompts = [first.prompt, *[[]] * (first.request.n - 1)]
            first.rows = [
                self._rows.take(prompt, first.adapter, length)
                for prompt, length in zip(prompts, first.lengths, strict=True)
            ]
            self._reading.append(first)
            yield first

    def _decode(self, emit: Callable[[Event], None]) -> None:
        answers = sorted(self._answers, key=lambda answer: answer.row.index)
        try:
            logits = self._model.decode(
                [a.last for a in answers],
                [a.row.length for a in answers],
                [a.row.adapter for a in answers],
            )
        except (RuntimeError, MemoryError) as error:
            for id in {answer.request for answer in answers}:
                self.cancel(id)
                emit(Failed(id, str(error)))
            return
        for answer in answers:  # before any of them ends: rows are moved then
            answer.row.extend([answer.last])
        for answer, scores in zip(answers, logits, strict=True):
            self._go_on(answer, scores, emit)

    def _read(self, reading: _Reading, emit: Callable[[Event], None]) -> None:
        """A part of this prompt; then it is the next one's turn."""
        row = reading.rows[0]
        part = reading.prompt[row.length : row.length + self._pace.tokens]
        try:
            logits = self._pace.measure(
                len(part),
                lambda: self._model.prefill(row.index, part, row.length, reading.adapter),
            )
        except (RuntimeError, MemoryError) as error:
            self.cancel(reading.id)
            emit(Failed(reading.id, str(error)))
            return
        row.extend(part)
        self._reading.popleft()
        if row.length < len(reading.prompt):
            self._reading.append(reading)
            return
        for answer in self._begin(reading):
            self._go_on(answer, logits.copy(), emit)

    def _begin(self, reading: _Reading) -> list[Answer]:
        """The answers to a prompt that has been read."""
        request, prompt = reading.request, reading.prompt
        answers = []
        for index in range(request.n):
            row = reading.rows[index]
            if index:
                self._rows.fill(row, reading.rows[0])
            seed = request.sampling.seed
            sampling = replace(request.sampling, seed=None if seed is None else seed + index)
            grammar = reading.grammar.copy() if reading.grammar else None
            sampler, stops = Sampler(sampling, prompt, grammar), StopStrings(request.stop)
            answers.append(Answer(reading.id, index, row, sampler, stops, reading.limit))
        for answer in answers:
            self._rows.answer(answer.row)
        self._answers += answers
        return answers

    def _go_on(self, answer: Answer, logits: Logits, emit: Callable[[Event], None]) -> None:
        """The answer's next token; what goes wrong with it ends this request alone."""
        if answer not in self._answers:
            return  # another choice of its request has failed in this step
        try:
            token, scores = answer.sampler.pick(logits)
        except (ArithmeticError, ValueError, LookupError) as error:
            self.cancel(answer.request)
            emit(Failed(answer.request, f"no token could be chosen: {error}"))
            return
        text = answer.take(token, self._tokenizer, self._ends)
        logprobs = logprobs_of(token, scores, self._tokenizer) if scores else None
        emit(Token(answer.request, answer.index, text, logprobs))
        if answer.reason:
            self._end(answer)
            emit(Finished(answer.request, answer.index, answer.reason, answer.made))

    def _end(self, answer: Answer) -> None:
        self._answers.remove(answer)
        self._rows.give_back(answer.row)

    def _end_reading(self, reading: _Reading) -> None:
        self._reading.remove(reading)
        for row in reading.rows:
            self._rows.give_back(row)


def answer_limit(prompt: int, asked: int | None, longest: int) -> int:
    """Most tokens of the answer to a prompt of so many tokens. Raises RequestRefused."""
    if prompt == 0:
        raise RequestRefused("invalid_prompt", "The prompt is empty; at least one token is needed.")
    if prompt + (asked or 1) > longest:
        wanted = f"you requested {prompt + (asked or 0)} tokens ({prompt} in the prompt"
        wanted += f", {asked} in the completion)" if asked else ")"
        raise RequestRefused(
            "context_length_exceeded",
            f"This model's maximum context length is {longest} tokens. However, {wanted}. "
            "Please reduce the length of the prompt or of the completion.",
        )
    return asked if asked is not None else longest - prompt
