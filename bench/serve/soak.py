"""Many clients for long, adapters that change, and people who hang up: errors, and memory."""

import asyncio
import random
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any, Final

import httpx

from olive_contract.serving import ServedAdapter, Serving
from serve import asking
from serve.servers import Ours

STREAMS: Final = 32
SWAP_S: Final = 10.0
LOOK_S: Final = 5.0
WARM: Final = 0.2
"""Share of the time after which memory is held to be what it will be: caches are full then."""


class Soak:
    """One server and everything that is done to it."""

    def __init__(self, server: Ours, serving: Path) -> None:
        self._server = server
        self._file = serving
        self._first = Serving.from_json(serving.read_text())
        self.answers, self.hung_up, self.swaps = 0, 0, 0
        self.errors: list[str] = []
        self.memory: list[int] = []

    async def run(self, seconds: float) -> dict[str, Any]:
        """What came of it."""
        end = monotonic() + seconds
        try:
            async with asking.client(self._server) as http, asyncio.TaskGroup() as group:
                for _ in range(STREAMS):
                    group.create_task(self._client(http, end))
                group.create_task(self._swap(end))
                group.create_task(self._look(end, seconds))
        finally:
            self._file.write_text(self._first.to_json())
        third = len(self.memory) // 3
        first, last = median(self.memory[:third]), median(self.memory[-third:])
        return {
            "seconds": round(seconds),
            "streams": STREAMS,
            "answers": self.answers,
            "hung_up": self.hung_up,
            "swaps": self.swaps,
            "errors": len(self.errors),
            "error": self.errors[0] if self.errors else "",
            "rss_mb": round(last / 2**20, 1),
            "rss_growth": round(last / first - 1, 4),
            "rss_mb_least_most": [round(of(self.memory) / 2**20, 1) for of in (min, max)],
        }

    async def _client(self, http: httpx.AsyncClient, end: float) -> None:
        draw = random.Random()  # noqa: S311
        while monotonic() < end:
            tokens, adapter = draw.randint(8, 128), draw.choice([None, 0, 1, 2, 3])
            body = self._server.body(asking.prompt(draw.randint(16, 300)), adapter, tokens)
            leaves = draw.random() < 0.1
            try:
                await self._ask(http, {**body, "stream": draw.random() < 0.9}, leaves)
            except (httpx.HTTPError, RuntimeError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")

    async def _ask(self, http: httpx.AsyncClient, body: dict[str, Any], leaves: bool) -> None:
        async with http.stream("POST", "/v1/completions", json=body) as response:
            if response.status_code != 200:
                raise RuntimeError(f"{response.status_code}: {(await response.aread()).decode()}")
            last = ""
            async for line in response.aiter_lines():
                if leaves:
                    self.hung_up += 1
                    return
                last = line or last
        if body["stream"] and last != "data: [DONE]":
            raise RuntimeError(f"the stream ended with {last[:200]}")
        self.answers += 1

    async def _swap(self, end: float) -> None:
        """Every name gets another adapter, and one name comes or goes."""
        names = [adapter.name for adapter in self._first.adapters]
        keys = [adapter.key for adapter in self._first.adapters]
        while monotonic() < end:
            await asyncio.sleep(min(SWAP_S, max(end - monotonic(), 0)))
            self.swaps += 1
            keys = [*keys[1:], keys[0]]
            served = [ServedAdapter(*pair) for pair in zip(names, keys, strict=True)]
            if self.swaps % 2:
                served.append(ServedAdapter("extra", keys[0]))
            now = Serving(self._first.job, self._first.model, tuple(served))
            beside = self._file.with_suffix(".new")
            beside.write_text(now.to_json())
            beside.replace(self._file)

    async def _look(self, end: float, seconds: float) -> None:
        warm = monotonic() + WARM * seconds
        while monotonic() < end:
            await asyncio.sleep(LOOK_S)
            if monotonic() > warm:
                self.memory.append(self._server.resident_bytes())
