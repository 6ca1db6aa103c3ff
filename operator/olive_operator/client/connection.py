"""The connection to the API server: the official client's credentials and TLS over aiohttp.

The official client's own requests copy and encode every body in Python, twice; where a thousand
jobs begin at once that is a sixth of what the operator does.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration

from olive_operator import labels

Query = Sequence[tuple[str, str]]


class Connection:
    """Sends requests; whoever does so reads the answers."""

    def __init__(self, session: aiohttp.ClientSession, configuration: Configuration) -> None:
        self._session, self._configuration = session, configuration

    async def send(
        self,
        method: str,
        path: str,
        query: Query,
        headers: dict[str, str],
        body: Any,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """The answer, whatever it is, its body not read. aiohttp's errors where there is none."""
        # Asked each time: a service account's token changes every hour.
        auth = (await self._configuration.auth_settings()).get("BearerToken")
        try:
            return await self._session.request(
                method,
                f"{self._configuration.host}{path}",
                params=query,
                data=None if body is None else _encoded(body),
                headers={**headers, auth["key"]: auth["value"]} if auth else headers,
                timeout=limits,
                server_hostname=self._configuration.tls_server_name,
            )
        except RuntimeError as error:
            # uvloop's word where a socket that a failed attempt has closed is still in its books.
            if "is used by transport" not in str(error):
                raise
            raise aiohttp.ClientConnectionError(str(error)) from error


def _encoded(body: Any) -> bytes:
    """As JSON. What orjson refuses (half a character, out of a pod's message) is escaped."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body).encode()


@asynccontextmanager
async def connect(configuration: Configuration) -> AsyncIterator[Connection]:
    """Connections as they are needed: every watch holds one."""
    async with ApiClient(configuration) as api:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=api.rest_client.ssl_context),
            headers={"User-Agent": labels.FIELD_MANAGER},
            proxy=configuration.proxy,
            read_bufsize=2**21,  # an event is one line
            # Otherwise aiohttp looks for a proxy and for ~/.netrc, in a thread, each time.
            trust_env=False,
        )
        async with session:
            yield Connection(session, configuration)
