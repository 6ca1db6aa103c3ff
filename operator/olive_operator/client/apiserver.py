"""Requests to the API server: JSON in and out, repeated where that helps, errors in its own words.

Every request of ours may be repeated: what is created has a name that follows from what it is for,
what is deleted is named by its uid, and a status is written over one version only.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson

from olive_operator.client.connection import Connection, Query
from olive_operator.scheduling.backoff import Backoff

log = logging.getLogger("olive.apiserver")

Body = dict[str, Any]

JSON = "application/json"
_PASSING = frozenset({429, 502, 503, 504})
_TRIES = 5
_AT_ONCE = 64
"""Requests, without watches. Each has a connection, and its buffers for TLS are 256 KiB."""
_SECONDS = 30.0


class ApiError(Exception):
    """The API server refused a request, or did not answer (``status`` 0); the text says why."""

    def __init__(self, status: int, said: str, retry_after: float = 0.0) -> None:
        body = _status_of(said)
        self.message = str(body.get("message") or said[:512])
        super().__init__(f"{status} {self.message}" if status else self.message)
        self.status, self.retry_after = status, retry_after
        causes = (body.get("details") or {}).get("causes") or []
        self.causes = frozenset(cause.get("reason", "") for cause in causes)

    @classmethod
    def told(cls, status: Body) -> "ApiError":
        """What a watch tells in its stream instead of by the answer's code."""
        after = (status.get("details") or {}).get("retryAfterSeconds") or 0
        return cls(status.get("code") or 500, orjson.dumps(status).decode(), float(after))

    @property
    def passing(self) -> bool:
        """It may be answered in a moment: too many requests, a server that starts, no network."""
        return self.status in _PASSING or self.status == 0


class ApiServer:
    """The API server at the other end of the connection.

    ``may_write`` is called before every request that could change something, and raises where this
    process must not. ``tries``: how often a request is sent that finds no answer.
    """

    def __init__(
        self,
        connection: Connection,
        may_write: Callable[[], None] = lambda: None,
        tries: int = _TRIES,
    ) -> None:
        self._connection, self._may_write, self._tries = connection, may_write, tries
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._silent = False

    async def request(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        query: Query = (),
        content_type: str = JSON,
        accept: str = JSON,
        seconds: float = _SECONDS,
    ) -> Body:
        """The answer's body. ApiError if it is refused, or if there is none after all tries."""
        text = await self.text(method, path, body, query, content_type, accept, seconds)
        return _decoded(text)

    async def text(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        query: Query = (),
        content_type: str = JSON,
        accept: str = JSON,
        seconds: float = _SECONDS,
        of_node: bool = False,
    ) -> bytes:
        """The same for an answer that is not JSON.

        ``of_node``: a node answers, behind the API server. It is asked once, and when it is silent
        that says nothing of the API server.
        """
        backoff, limits = Backoff(0.2, 5), aiohttp.ClientTimeout(total=seconds, sock_connect=5)
        while True:
            try:
                async with self._turn:
                    if method != "GET":
                        self._may_write()
                    response = await self._send(
                        method, path, body, query, content_type, accept, limits
                    )
                    async with response:
                        found = await response.read()
                self._answers()
                return found
            except _LOST as error:
                failure = ApiError(0, _no_answer(error))
            except ApiError as error:
                failure = error
            if of_node:
                raise failure
            if not failure.passing:
                self._answers()
                raise failure
            self._does_not_answer(failure)
            if backoff.failures + 1 >= self._tries:
                raise failure
            await asyncio.sleep(backoff.next(failure.retry_after))

    async def stream(
        self, path: str, query: Query, accept: str, silence: float, opened: Callable[[], None]
    ) -> AsyncIterator[Body]:
        """The events of a watch until the server ends it. ApiError after ``silence`` seconds.

        ``opened`` is called when the server has taken it: from then on, what happens is told.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence)
        try:
            response = await self._send("GET", path, None, query, JSON, accept, limits)
            opened()
            async with response:
                async for line in response.content:
                    yield _decoded(line)
        except _LOST as error:
            raise ApiError(0, _no_answer(error)) from error

    async def _send(
        self,
        method: str,
        path: str,
        body: Body | None,
        query: Query,
        content_type: str,
        accept: str,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": accept,
            "Content-Type": content_type,
            "Accept-Encoding": "identity",  # compressing costs both sides more than it spares
        }
        response = await self._connection.send(method, path, query, headers, body, limits)
        if response.status >= 300:
            async with response:
                said = await response.text(errors="replace")
            raise ApiError(response.status, said, _retry_after(response))
        return response

    def _does_not_answer(self, error: ApiError) -> None:
        """One line for all requests that wait, not one for each."""
        if not self._silent:
            self._silent = True
            log.warning("the API server does not answer: %s; trying on", error)

    def _answers(self) -> None:
        if self._silent:
            self._silent = False
            log.warning("the API server answers again")


_LOST = (aiohttp.ClientError, TimeoutError, ConnectionError)


def _decoded(text: bytes) -> Body:
    """orjson goes a thousand levels deep; the API server takes objects of ten thousand."""
    try:
        found: Body = orjson.loads(text)
    except ValueError:
        found = json.loads(text)
    return found


def _no_answer(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _status_of(said: str) -> Body:
    """The Status object that the API server says what is wrong with; a proxy says it otherwise."""
    try:
        body = orjson.loads(said)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(response: aiohttp.ClientResponse) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "0")), 0.0), 60.0)
    except ValueError:
        return 0.0
