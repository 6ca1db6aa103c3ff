"""One request from the parsed body to the last byte: submit, answer, measure, free.

A client that leaves, at any point, frees what its request holds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from olive_serve.engine import (
    Delta,
    Engine,
    EngineUnavailable,
    Finish,
    GenerationFailed,
    GenerationRequest,
    RefusalCode,
    RequestRefused,
)
from olive_serve.errors import ApiError, of_unavailable
from olive_serve.metrics import Metrics
from olive_serve.record import CLIENT_GONE, Record
from olive_serve.responses import Answer, Choice, sse
from olive_serve.schema import ChatRequest, CompletionRequest
from olive_serve.tool_calls import ToolCall
from olive_serve.tool_use import ToolUse

T = TypeVar("T")


class Exchange:
    """A request and its answer. ``adapter`` is the key that its model's name stands for.

    ``use``: of tools; the answer may then have calls of them.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        body: CompletionRequest | ChatRequest,
        prompt: tuple[int, ...],
        adapter: str | None,
        grammar: str | None,
        use: ToolUse | None,
    ) -> None:
        self._metrics = metrics
        self._body = body
        self._answer = Answer(body.model, chat=isinstance(body, ChatRequest))
        self._record = Record(metrics, body.model)
        self._readers = [use.reader() for _ in range(body.choices)] if use else []
        self._generation = engine.submit(
            GenerationRequest(
                prompt=prompt,
                adapter=adapter,
                max_tokens=body.limit,
                sampling=body.sampling,
                stop=(*body.stop, *(use.stop if use else ())),
                n=body.choices,
                grammar=grammar,
            )
        )

    async def respond(self, request: Request) -> Response:
        """The response; a stream goes on after this returns. Raises ApiError."""
        streaming = refused = False
        try:
            await _unless_gone(request, self._accepted())
            if self._body.stream:
                streaming = True
                return EventStream(self._stream(), on_end=self._end)
            return await _unless_gone(request, self._whole())
        except ClientGone:
            return Response(status_code=CLIENT_GONE)
        except ApiError:
            refused = True
            raise
        finally:
            if not streaming:
                self._generation.cancel()
            if not (streaming or refused):
                self._record.close(self._answer.id, stream=False)

    async def _accepted(self) -> None:
        try:
            self._record.prompt_tokens = await self._generation.accepted()
        except EXPECTED as error:
            raise api_error(error, self._body) from error

    async def _whole(self) -> Response:
        choices = [Choice() for _ in range(self._body.choices)]
        async for item in self._items():
            choices[item.choice].take(item)
            if isinstance(item, Finish) and item.usage is not None:
                usage = item.usage
        return JSONResponse(self._answer.whole(choices, usage))

    async def _stream(self) -> AsyncIterator[bytes]:
        answer, include_usage = self._answer, self._body.include_usage
        try:
            if answer.chat:
                for choice in range(self._body.choices):
                    yield sse(answer.opening(choice))
            async for item in self._items():
                if isinstance(item, ToolCall):
                    yield sse(answer.call(item))
                    continue
                if isinstance(item, Delta):
                    if item.text or item.logprobs:
                        yield sse(answer.chunk(item))
                    continue
                yield sse(answer.last(item))
                if item.usage is not None and include_usage:
                    yield sse(answer.usage_chunk(item.usage))
        except ApiError as error:
            # The status is sent already: vLLM and OpenAI's client know this form.
            self._record.status = error.status
            self._metrics.refused.labels(error.code).inc()
            yield sse(error.body)
        else:
            yield sse("[DONE]")

    async def _items(self) -> AsyncIterator[Delta | ToolCall | Finish]:
        try:
            async for item in self._generation:
                self._record.note(item)
                if self._readers:
                    for each in self._readers[item.choice].read(item):
                        yield each
                else:
                    yield item
        except EXPECTED as error:
            raise api_error(error, self._body) from error

    def _end(self) -> None:
        self._generation.cancel()
        self._record.close(self._answer.id, stream=self._body.stream)


class EventStream(StreamingResponse):
    """Server-sent events. ``on_end`` is called however the stream ends, even before it begins."""

    def __init__(self, events: AsyncIterator[bytes], *, on_end: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


EXPECTED = (RequestRefused, EngineUnavailable, GenerationFailed)


def api_error(error: Exception, body: CompletionRequest | ChatRequest) -> ApiError:
    """What the client is told of an engine's error."""
    if isinstance(error, RequestRefused):
        param = _param(error.code, body)
        # The engine knows a grammar, not what it was made of.
        message = f"{param}: {error}" if error.code == "invalid_json_schema" else str(error)
        return ApiError(400, error.code, message, param=param)
    if isinstance(error, EngineUnavailable):
        return of_unavailable(error)
    return ApiError(500, "generation_failed", f"The engine failed at this request: {error}")


def _param(code: RefusalCode, body: CompletionRequest | ChatRequest) -> str:
    """The field that the engine did not take."""
    fields = {
        "too_many_choices": "n",
        "unknown_token": "logit_bias",
        "invalid_json_schema": "tools" if _with_tools(body) else "response_format",
    }
    return fields.get(code, body.prompt_field)


def _with_tools(body: CompletionRequest | ChatRequest) -> bool:
    return isinstance(body, ChatRequest) and bool(body.offered)


class ClientGone(Exception):  # noqa: N818 - nothing went wrong here
    """The client closed the connection."""


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the client leaves (ClientGone)."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        task.cancel()
        gone.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
