"""One request on its way through the engine's process, as its reader sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from olive_serve import messages as m
from olive_serve.engine import (
    Delta,
    Finish,
    GenerationFailed,
    GenerationRequest,
    RequestRefused,
    TokenLogprobs,
    Usage,
)


class _Unread:
    """What came of one choice since it was last looked at."""

    def __init__(self) -> None:
        self.text = ""
        self.tokens = 0
        self.logprobs: list[TokenLogprobs] = []


class ProcessGeneration:
    """An ``engine.Generation``. Text that nobody has read yet is joined, not queued piece by piece.

    A slow client costs the memory of its text alone, and gets larger pieces.
    """

    def __init__(self, request: GenerationRequest, cancel: Callable[[], None]) -> None:
        self.request = request
        self.started = False
        self.cancel = cancel
        self._changed = asyncio.Event()
        self._prompt_tokens: int | None = None
        self._cached_tokens = 0
        self._completion_tokens = 0
        self._unread: dict[int, _Unread] = {}
        self._finished: list[Finish] = []
        self._left = request.n
        self._error: Exception | None = None

    @property
    def ended(self) -> bool:
        """Will no event come any more?"""
        return self._left == 0 or self._error is not None

    async def accepted(self) -> int:
        while self._prompt_tokens is None:
            await self._change()
        return self._prompt_tokens

    async def __aiter__(self) -> AsyncIterator[Delta | Finish]:
        while True:
            unread, self._unread = self._unread, {}
            finished, self._finished = self._finished, []
            for choice, what in unread.items():
                yield Delta(choice, what.text, what.tokens, tuple(what.logprobs))
            for finish in finished:
                yield finish
                if finish.usage is not None:
                    return
            if not (self._unread or self._finished):
                await self._change()

    def take(self, event: m.Event) -> None:
        """An event of this request arrived."""
        match event:
            case m.Accepted(_, prompt_tokens):
                self._prompt_tokens = prompt_tokens
            case m.Started(_, cached_tokens):
                self.started, self._cached_tokens = True, cached_tokens
            case m.Token(_, choice, text, logprobs):
                unread = self._unread.setdefault(choice, _Unread())
                unread.text += text
                unread.tokens += 1
                if logprobs is not None:
                    unread.logprobs.append(logprobs)
            case m.Finished(_, choice, reason, tokens):
                self._left -= 1
                self._completion_tokens += tokens
                self._finished.append(Finish(choice, reason, None if self._left else self._usage()))
            case m.Refused(_, code, message):
                self._error = RequestRefused(code, message)
            case m.Failed(_, message):
                self._error = GenerationFailed(message)
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """No event will come any more."""
        self._error = error
        self._changed.set()

    def _usage(self) -> Usage:
        return Usage(self._prompt_tokens or 0, self._cached_tokens, self._completion_tokens)

    async def _change(self) -> None:
        if self._error is not None:
            raise self._error
        self._changed.clear()
        await self._changed.wait()
        if self._error is not None:
            raise self._error
