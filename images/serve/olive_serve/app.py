"""The routes of the HTTP API."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from olive_contract.serving import BASE_NAME
from olive_serve.chat_template import ChatTemplateError
from olive_serve.completions import Exchange
from olive_serve.engine import Engine, EngineUnavailable
from olive_serve.errors import ApiError, of_unavailable, of_validation
from olive_serve.logs import fields
from olive_serve.metrics import CONTENT_TYPE, Metrics
from olive_serve.reconcile import Reconciler
from olive_serve.schema import ChatRequest, CompletionRequest

log = logging.getLogger(__name__)
Body = TypeVar("Body", bound=BaseModel)
Run = Callable[[], Awaitable[None]]

BODY_LIMIT: Final = 8 << 20
"""Bytes of a request; far beyond what any context takes."""


class Api:
    """The handlers, and what they share."""

    def __init__(
        self, engine: Engine, reconciler: Reconciler, metrics: Metrics, *, max_waiting: int
    ) -> None:
        self._engine = engine
        self._reconciler = reconciler
        self._metrics = metrics
        self._max_waiting = max_waiting

    async def completions(self, request: Request) -> Response:
        body = await _parse(request, CompletionRequest)
        return await self._generate(request, body, body.prompt)

    async def chat_completions(self, request: Request) -> Response:
        body = await _parse(request, ChatRequest)
        self._need_ready()
        try:
            prompt = self._reconciler.chat_template.render(
                [m.for_template() for m in body.messages]
            )
        except ChatTemplateError as error:
            raise ApiError(400, "invalid_messages", str(error), param="messages") from error
        return await self._generate(request, body, prompt)

    async def _generate(
        self, request: Request, body: CompletionRequest | ChatRequest, prompt: str
    ) -> Response:
        adapter = self._resolve(body.model)
        if len(self._engine.occupancy.waiting) >= self._max_waiting:
            message = f"{self._max_waiting} requests are waiting already; try again later."
            raise ApiError(429, "engine_overloaded", message, retry_after=1)
        try:
            exchange = Exchange(self._engine, self._metrics, body, prompt, adapter)
        except EngineUnavailable as error:
            raise of_unavailable(error) from error
        return await exchange.respond(request)

    async def models(self, request: Request) -> Response:
        self._need_ready()
        names = [BASE_NAME, *sorted(self._reconciler.routes)]
        return JSONResponse({"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, request: Request) -> Response:
        self._resolve(request.path_params["name"])
        return JSONResponse(self._model(request.path_params["name"]))

    def _model(self, name: str) -> dict[str, Any]:
        """vLLM's model object; ``root`` is the artifact's key, of the model or of the adapter."""
        key = self._resolve(name)
        return {
            "id": name,
            "object": "model",
            "created": self._reconciler.since,
            "owned_by": "olive-operator",
            "root": key or self._reconciler.model,
            "parent": None if name == BASE_NAME else BASE_NAME,
            "max_model_len": self._engine.max_model_len,
        }

    def _resolve(self, name: str) -> str | None:
        """The adapter's key for a model's name, None for the base. Raises ApiError 404."""
        self._need_ready()
        routes = self._reconciler.routes
        if name == BASE_NAME:
            return None
        if name in routes:
            return routes[name]
        why = "does not exist"
        for status in self._reconciler.adapters():
            if status.name == name:
                why = f"is not loaded ({status.message or status.state})"
        known = ", ".join([BASE_NAME, *sorted(routes)])
        message = f"The model '{name}' {why}. Available: {known}."
        raise ApiError(404, "model_not_found", message, param="model")

    def _need_ready(self) -> None:
        if not self._reconciler.ready:
            raise of_unavailable(EngineUnavailable(self._reconciler.problem))

    async def adapters(self, request: Request) -> Response:
        data = [status.body() for status in self._reconciler.adapters()]
        return JSONResponse({"object": "list", "data": data})

    async def healthz(self, request: Request) -> Response:
        """Alive: this answers, and the engine runs or can still be restarted."""
        alive = self._reconciler.alive
        body = {"alive": alive, "problem": self._reconciler.problem}
        return JSONResponse(body, 200 if alive else 503)

    async def readyz(self, request: Request) -> Response:
        """Ready: the model is loaded and its engine answers."""
        ready = self._reconciler.ready
        adapters = {status.name: status.state for status in self._reconciler.adapters()}
        body = {"ready": ready, "problem": self._reconciler.problem, "adapters": adapters}
        return JSONResponse(body, 200 if ready else 503)

    async def refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
        self._metrics.refused.labels(error.code).inc()
        noted = fields(path=request.url.path, status=error.status, code=error.code)
        log.info("request refused", extra=noted)
        return JSONResponse(error.body, error.status, error.headers)

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)


def application(api: Api, run: Run, close: Run) -> Starlette:
    """The ASGI application. ``run`` goes on while it serves; ``close`` follows the last answer."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.ensure_future(run())
        yield
        task.cancel()
        await close()

    return Starlette(
        routes=[
            Route("/v1/models", api.models),
            Route("/v1/models/{name}", api.model),
            Route("/v1/completions", api.completions, methods=["POST"]),
            Route("/v1/chat/completions", api.chat_completions, methods=["POST"]),
            Route("/v1/olive/adapters", api.adapters),
            Route("/healthz", api.healthz),
            Route("/readyz", api.readyz),
            Route("/metrics", api.metrics),
        ],
        exception_handlers={
            ApiError: api.refuse,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


async def _parse(request: Request, to: type[Body]) -> Body:
    """The request's body. Raises ApiError for what it should not be."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > BODY_LIMIT:
            raise ApiError(413, "request_too_large", f"More than {BODY_LIMIT} bytes.")
    try:
        return to.model_validate_json(bytes(read))
    except ValidationError as error:
        raise of_validation(error) from error


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    known = ApiError(error.status_code, "invalid_request", f"{error.detail}: {request.url.path}")
    return JSONResponse(known.body, error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse(ApiError(500, "internal_error", "The server failed.").body, 500)
