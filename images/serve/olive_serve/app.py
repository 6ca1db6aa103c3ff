"""The ASGI application of the API's port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from olive_serve import openapi, page
from olive_serve.api import Api
from olive_serve.api_keys import ApiKeys, KeyRequired
from olive_serve.errors import ApiError
from olive_serve.health import Health
from olive_serve.record import CLIENT_GONE

Run = Callable[[], Awaitable[None]]


def application(
    api: Api, health: Health, *, keys: Path | None, with_page: bool, run: Run, close: Run
) -> Starlette:
    """``keys``: a folder of API keys. ``run`` goes on while it serves; ``close`` is called last."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.ensure_future(run())
        yield
        task.cancel()
        await close()

    middleware = []
    if keys is not None:
        middleware = [Middleware(KeyRequired, keys=ApiKeys(keys), refuse=api.refuse)]
    return Starlette(
        # Gateways look for a model server's metrics where they send it requests.
        routes=[
            *api.routes,
            Route("/metrics", health.metrics),
            *openapi.ROUTES,
            *(page.ROUTES if with_page else []),
        ],
        middleware=middleware,
        exception_handlers={
            ApiError: api.refuse,
            ClientDisconnect: _gone,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    known = ApiError(error.status_code, "invalid_request", f"{error.detail}: {request.url.path}")
    return JSONResponse(known.body, error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse(ApiError(500, "internal_error", "The server failed.").body, 500)
