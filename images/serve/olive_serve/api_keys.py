"""Who may ask: OpenAI's ``Authorization: Bearer KEY``, against the keys in a mounted secret."""

import hmac
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from olive_serve.errors import ApiError

Refuse = Callable[[Request, Exception], Awaitable[Response]]


class ApiKeys:
    """The keys in a folder: every file of it holds one, as a mounted Secret does.

    They are read for each request, so that a key that was changed holds at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, given: str) -> bool:
        """Is it one of them? Takes the same time whichever it is not."""
        return sum(hmac.compare_digest(key, given.encode()) for key in self._keys()) > 0

    def _keys(self) -> Iterator[bytes]:
        for file in self._folder.iterdir():
            if not file.name.startswith(".") and (key := file.read_bytes().strip()):
                yield key


class KeyRequired:
    """ASGI middleware: what is below ``/v1/`` is for those with a key, ``refuse`` for the others.

    An exception would pass by the application's handlers, which are behind it.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys, refuse: Refuse) -> None:
        self._app = app
        self._keys = keys
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            kind, _, key = Request(scope).headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not self._keys.known(key.strip()):
                message = "Give a valid API key: Authorization: Bearer KEY."
                error = ApiError(401, "invalid_api_key", message)
                await (await self._refuse(Request(scope), error))(scope, receive, send)
                return
        await self._app(scope, receive, send)
