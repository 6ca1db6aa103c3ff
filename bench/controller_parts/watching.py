"""Objects as they appear, over a plain watch: nothing is kept, and most events are not decoded."""

import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp

_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')


class Watch:
    """The objects at ``path`` that begin to match the selectors of ``query``, from ``begin`` on.

    The API server ends the watches that it finds no time to serve; they go on where they were, and
    what came late counts as late.
    """

    def __init__(self, api: Any, path: str, query: Sequence[tuple[str, str]]) -> None:
        self._api, self._path, self._query = api, path, query
        self._version = ""

    async def begin(self) -> None:
        """From the newest version that the API server has."""
        async with await self._get([("limit", "1")]) as listed:
            self._version = (await listed.json())["metadata"]["resourceVersion"]

    async def appear(self) -> AsyncIterator[tuple[float, Any]]:
        """When each came (seconds of the monotonic clock), and its metadata; for ever."""
        while True:
            since = [("watch", "true"), ("resourceVersion", self._version)]
            async with await self._get(since) as events:
                async for line in events.content:
                    at = time.monotonic()
                    found = _VERSION.search(line)
                    if found is None or line.startswith(b'{"type":"ERROR"'):
                        raise RuntimeError(f"the watch of {self._path} is lost: {line[:500]!r}")
                    self._version = found[1].decode()
                    if line.startswith(b'{"type":"ADDED"'):
                        yield at, json.loads(line)["object"]["metadata"]

    async def _get(self, query: list[tuple[str, str]]) -> aiohttp.ClientResponse:
        request = await self._api.param_serialize(
            "GET",
            self._path,
            query_params=[*self._query, *query],
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        limits = aiohttp.ClientTimeout(total=None)
        answer = await self._api.call_api(*request, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        response.raise_for_status()
        return response
