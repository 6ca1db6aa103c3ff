"""The handlers of OpenAI's API."""

import asyncio
import logging
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from olive_contract.serving import BASE_NAME
from olive_serve.chat_template import ChatTemplateError
from olive_serve.completions import Exchange
from olive_serve.drain import Drain
from olive_serve.engine import Engine, EngineUnavailable
from olive_serve.errors import ApiError, of_unavailable, of_validation
from olive_serve.logs import fields
from olive_serve.metrics import Metrics
from olive_serve.reconcile import Reconciler
from olive_serve.response_format import ResponseFormat, SchemaRefused
from olive_serve.schema import ChatRequest, CompletionRequest
from olive_serve.tokenizer import PromptTooLong
from olive_serve.tool_use import ToolsRefused, ToolUse

log = logging.getLogger(__name__)
Body = TypeVar("Body", bound=BaseModel)

BODY_LEAST, BODY_PER_TOKEN = 1 << 20, 64
"""Bytes that a request may have: any that fits the context does. Reading more holds others up."""
BODY_SECONDS: Final = 30.0
"""For a whole body."""


class Api:
    """The handlers, and what they share."""

    def __init__(
        self,
        engine: Engine,
        reconciler: Reconciler,
        metrics: Metrics,
        drain: Drain,
        *,
        max_waiting: int,
    ) -> None:
        self._engine = engine
        self._reconciler = reconciler
        self._metrics = metrics
        self._drain = drain
        self._max_waiting = max_waiting

    @property
    def routes(self) -> list[Route]:
        """Where the handlers are."""
        return [
            Route("/v1/models", self.models),
            Route("/v1/models/{name}", self.model),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
        ]

    async def completions(self, request: Request) -> Response:
        """``POST /v1/completions``."""
        body = await self._parse(request, CompletionRequest)
        return await self._generate(request, body, body.prompt)

    async def chat_completions(self, request: Request) -> Response:
        """``POST /v1/chat/completions``."""
        body = await self._parse(request, ChatRequest)
        self._need_ready()
        template = self._reconciler.chat_template
        try:
            use = body.tool_use(template.calls) if body.offered else None
            prompt = template.render(body.turns, [tool.for_template() for tool in body.offered])
        except ChatTemplateError as error:
            code = f"invalid_{error.param}"
            raise ApiError(400, code, str(error), param=error.param) from error
        return await self._generate(request, body, prompt, use)

    async def _generate(
        self,
        request: Request,
        body: CompletionRequest | ChatRequest,
        prompt: str,
        use: ToolUse | None = None,
    ) -> Response:
        self._resolve(body.model)
        if len(self._engine.occupancy.waiting) >= self._max_waiting:
            message = f"{self._max_waiting} requests are waiting already; try again later."
            raise ApiError(429, "engine_overloaded", message, retry_after=1)
        try:
            grammar = await _grammar(body.response_format, use)
            tokens = await self._reconciler.tokenizer.encode(
                prompt,
                templated=isinstance(body, ChatRequest),
                context=self._engine.max_model_len,
            )
            # Only now: meanwhile the name may have come to stand for another adapter.
            adapter = self._resolve(body.model)
            exchange = Exchange(self._engine, self._metrics, body, tokens, adapter, grammar, use)
        except ToolsRefused as error:
            raise ApiError(400, "invalid_tools", str(error), param=error.param) from error
        except SchemaRefused as error:
            message = f"response_format: {error}"
            raise ApiError(400, "invalid_json_schema", message, param="response_format") from error
        except PromptTooLong as error:
            field = body.prompt_field
            raise ApiError(400, "context_length_exceeded", str(error), param=field) from error
        except EngineUnavailable as error:
            raise of_unavailable(error) from error
        return await exchange.respond(request)

    async def _parse(self, request: Request, to: type[Body]) -> Body:
        """The request's body. Raises ApiError for what it should not be."""
        read, limit = bytearray(), max(BODY_LEAST, BODY_PER_TOKEN * self._engine.max_model_len)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    read += chunk
                    if len(read) > limit:
                        raise ApiError(413, "request_too_large", f"More than {limit} bytes.")
        except TimeoutError:
            message = f"The body did not come in {BODY_SECONDS:g} seconds."
            raise ApiError(408, "request_timeout", message) from None
        try:
            return to.model_validate_json(bytes(read))
        except ValidationError as error:
            raise of_validation(error) from error

    async def models(self, request: Request) -> Response:
        """``GET /v1/models``: the base and every adapter that is loaded."""
        self._need_ready()
        names = [BASE_NAME, *sorted(self._reconciler.routes)]
        return JSONResponse({"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, request: Request) -> Response:
        """``GET /v1/models/{name}``."""
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
        if problem := self._drain.problem or self._reconciler.problem:
            raise of_unavailable(EngineUnavailable(problem))

    async def refuse(self, request: Request, error: Exception) -> Response:
        """What an ApiError becomes."""
        assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
        self._metrics.refused.labels(error.code).inc()
        noted = fields(path=request.url.path, status=error.status, code=error.code)
        log.info("request refused", extra=noted)
        return JSONResponse(error.body, error.status, error.headers)


async def _grammar(form: ResponseFormat | None, use: ToolUse | None) -> str | None:
    if use is not None:
        return await use.grammar(form)
    return None if form is None else await form.grammar()
