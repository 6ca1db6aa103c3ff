"""Whose turn it is: requests in order of arrival, and those that run, a step each in turn.

A turn is one token of every answer and one chunk of one prompt, so that a long prompt or a long
answer holds nobody up for longer than a turn, however many there are. It is bought with about 15 %
of the throughput (two or four streams together against one; the weights are read once for each
token either way). The key-value cache is allocated in full when a request starts, so a request
starts only when its whole length fits the budget.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from olive_serve.engine import FinishReason, GenerationRequest, RequestRefused
from olive_serve.messages import Accepted, Event, Failed, Finished, Refused, Started, Token
from olive_serve.worker.stop_strings import StopStrings


class Sequence(Protocol):
    """A prompt being read or continued."""

    def prefill(self) -> bool:
        """Read one chunk of the prompt; True when it is read."""

    def step(self) -> tuple[str, bool]:
        """Text of one more token, and whether it ended the answer."""


class Model(Protocol):
    """What the scheduler shares out."""

    @property
    def max_model_len(self) -> int: ...

    def encode(self, request: GenerationRequest) -> list[int]: ...

    def sequence(self, tokens: list[int], limit: int, request: GenerationRequest) -> Sequence:
        """``limit``: most tokens that the answer may have."""


@dataclass(eq=False)
class _Entry:
    id: int
    request: GenerationRequest
    prompt: list[int]
    limit: int
    stops: StopStrings
    sequence: Sequence | None = None
    prefilled: bool = False
    made: int = 0

    @property
    def length(self) -> int:
        """Tokens of key-value cache that it needs."""
        return len(self.prompt) + self.limit


class Scheduler:
    """Requests of one model. ``budget`` is the key-value cache in tokens."""

    def __init__(self, model: Model, *, max_running: int, budget: int) -> None:
        self._model = model
        self._max_running = max_running
        self._budget = budget
        self._waiting: deque[_Entry] = deque()
        self._running: list[_Entry] = []

    @property
    def busy(self) -> bool:
        """Is there anything to compute?"""
        return bool(self._waiting or self._running)

    @property
    def kv_cache_usage(self) -> float:
        """Share of the budget that running requests hold."""
        return sum(entry.length for entry in self._running) / self._budget

    def uses(self, adapter: str) -> bool:
        """Does any request, running or waiting, need the adapter of this key?"""
        return any(e.request.adapter == adapter for e in (*self._running, *self._waiting))

    def submit(self, id: int, request: GenerationRequest) -> Event:
        """Queue a request: Accepted or Refused."""
        prompt = self._model.encode(request)
        try:
            limit = answer_limit(len(prompt), request.max_tokens, self._model.max_model_len)
        except RequestRefused as refusal:
            return Refused(id, refusal.code, str(refusal))
        self._waiting.append(_Entry(id, request, prompt, limit, StopStrings(request.stop)))
        return Accepted(id, len(prompt))

    def cancel(self, id: int) -> None:
        """Forget a request, wherever it is; nothing if it has ended."""
        self._running = [e for e in self._running if e.id != id]
        self._waiting = deque(e for e in self._waiting if e.id != id)

    def turn(self, emit: Callable[[Event], None]) -> None:
        """Start what may start; then a token for every answer, and a chunk of one prompt."""
        for entry in self._startable():
            emit(Started(entry.id))
        answering = [e for e in self._running if e.prefilled]
        for entry in (*answering, *self._next_prompt()):
            ended: Finished | Failed | None
            try:
                ended = self._step(entry, emit)
            except (RuntimeError, MemoryError) as error:
                ended = Failed(entry.id, str(error))
            if ended is not None:
                self._running.remove(entry)
                emit(ended)

    def _next_prompt(self) -> list[_Entry]:
        """The prompt whose turn it is, if there is one; it goes to the end of the round."""
        prompts = [e for e in self._running if not e.prefilled][:1]
        self._running = [e for e in self._running if e not in prompts] + prompts
        return prompts

    def _startable(self) -> Iterator[_Entry]:
        """Strictly in order: a long request at the head is not overtaken for ever."""
        while self._waiting and len(self._running) < self._max_running:
            held = sum(entry.length for entry in self._running)
            if held + self._waiting[0].length > self._budget:
                return
            self._running.append(self._waiting.popleft())
            yield self._running[-1]

    def _step(self, entry: _Entry, emit: Callable[[Event], None]) -> Finished | None:
        if entry.sequence is None:
            entry.sequence = self._model.sequence(entry.prompt, entry.limit, entry.request)
        if not entry.prefilled:
            entry.prefilled = entry.sequence.prefill()
            return None
        piece, ended = entry.sequence.step()
        entry.made += 1
        text = entry.stops.feed(piece)
        reason: FinishReason | None = None
        if entry.stops.found or ended:
            reason = "stop"
        elif entry.made >= entry.limit:
            reason = "length"
        emit(Token(entry.id, text + entry.stops.rest() if reason else text))
        return Finished(entry.id, reason, len(entry.prompt), entry.made) if reason else None


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
