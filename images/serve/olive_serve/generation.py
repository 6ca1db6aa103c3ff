"""One request on its way through the engine's process, as its reader sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from olive_serve import messages as m
from olive_serve.engine import Delta, Finish, GenerationFailed, GenerationRequest, RequestRefused


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
        self._text = ""
        self._tokens = 0
        self._finish: Finish | None = None
        self._error: Exception | None = None

    async def accepted(self) -> int:
        while self._prompt_tokens is None:
            await self._change()
        return self._prompt_tokens

    async def __aiter__(self) -> AsyncIterator[Delta | Finish]:
        while True:
            if self._tokens:
                delta = Delta(self._text, self._tokens)
                self._text, self._tokens = "", 0
                yield delta
            elif self._finish is not None:
                yield self._finish
                return
            else:
                await self._change()

    def take(self, event: m.Message) -> None:
        """An event of this request arrived."""
        match event:
            case m.Accepted(_, prompt_tokens):
                self._prompt_tokens = prompt_tokens
            case m.Started():
                self.started = True
            case m.Token(_, text):
                self._text += text
                self._tokens += 1
            case m.Finished(_, reason, prompt_tokens, completion_tokens):
                self._finish = Finish(reason, prompt_tokens, completion_tokens)
            case m.Refused(_, code, message):
                self._error = RequestRefused(code, message)
            case m.Failed(_, message):
                self._error = GenerationFailed(message)
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """No event will come any more."""
        self._error = error
        self._changed.set()

    async def _change(self) -> None:
        if self._error is not None:
            raise self._error
        self._changed.clear()
        await self._changed.wait()
        if self._error is not None:
            raise self._error
