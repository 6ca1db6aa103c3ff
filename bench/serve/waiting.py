"""How long somebody waits: for a first token, for a known beginning, for a place, for a probe."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median, quantiles
from time import perf_counter
from typing import Final

import httpx

from serve import asking
from serve.servers import SLOTS, Ours

ROUNDS: Final = 5
LONG: Final = 512
"""Tokens of the prompt that comes while others are answered."""
SHARED: Final = 1000
"""Tokens that two prompts begin with."""
HUGE: Final = 2000
"""Tokens of the prompt during which the probes are asked."""
OTHERS: Final = 7


async def first_token(server: Ours) -> dict[str, float]:
    """Milliseconds to the first token of a long prompt: alone, and while others decode."""
    alone, beside = [], []
    async with asking.client(server) as http:
        for _ in range(ROUNDS):
            alone.append((await asking.ask(http, server, asking.prompt(LONG), 0, 4)).first_s)
            async with others(http, server):
                beside.append((await asking.ask(http, server, asking.prompt(LONG), 0, 4)).first_s)
    return {"alone": ms(median(alone)), "beside": ms(median(beside))}


async def known_beginning(server: Ours) -> dict[str, float]:
    """Milliseconds to the first token: of a long prompt, and of a second one that begins alike."""
    first: list[float] = []
    second: list[float] = []
    async with asking.client(server) as http:
        for _ in range(ROUNDS):
            begins = asking.prompt(SHARED)
            for times in (first, second):
                text = asking.prompt(SHARED + 24, begins)
                times.append((await asking.ask(http, server, text, 0, 4)).first_s)
    return {"first": ms(median(first)), "second": ms(median(second))}


async def freed_place(server: Ours) -> dict[str, float]:
    """Milliseconds from a hang-up to the first token of the request that waited for its place.

    It holds all of a cancel: that the server notices, that the engine lets go, and a step of the
    engine for the one that waited, whose prompt is one token.
    """
    times: list[float] = []
    async with asking.client(server) as http:
        for _ in range(4 * ROUNDS):
            async with others(http, server, SLOTS) as streams:
                waiting = asyncio.create_task(asking.ask(http, server, asking.prompt(1), 0, 1))
                await _queued(server)
                began = perf_counter()
                streams[0].cancel()
                times.append((await waiting).pieces[0] - began)
    return {"p50": ms(median(times)), "longest": ms(max(times)), "n": len(times)}


async def _queued(server: Ours) -> None:
    one = re.compile(r"^vllm:num_requests_waiting\S* 1", re.MULTILINE)
    async with httpx.AsyncClient(base_url=server.probes, trust_env=False) as probe:
        while not one.search((await probe.get("/metrics")).raise_for_status().text):
            pass


async def liveness(server: Ours) -> dict[str, float]:
    """Milliseconds of ``/healthz`` at full load, while a prompt of 2,000 tokens is read."""
    times: list[float] = []
    async with asking.client(server) as http, others(http, server):
        reading = asyncio.create_task(asking.ask(http, server, asking.prompt(HUGE), 1, 8))
        async with httpx.AsyncClient(base_url=server.probes, trust_env=False) as probe:
            while not reading.done():
                began = perf_counter()
                (await probe.get("/healthz")).raise_for_status()
                times.append(perf_counter() - began)
                await asyncio.sleep(0.005)
        await reading
    return {"p50": ms(median(times)), "p99": ms(quantiles(times, n=100)[98]), "n": len(times)}


@asynccontextmanager
async def others(
    http: httpx.AsyncClient, server: Ours, streams: int = OTHERS
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Streams over four adapters, every one of them past its first token; hung up afterwards."""
    async with asyncio.TaskGroup() as group:
        begun = [asyncio.Event() for _ in range(streams)]
        tasks = [
            group.create_task(_endless(http, server, number % 4, event))
            for number, event in enumerate(begun)
        ]
        for event in begun:
            await event.wait()
        yield tasks
        for task in tasks:
            task.cancel()


async def _endless(
    http: httpx.AsyncClient, server: Ours, adapter: int, begun: asyncio.Event
) -> None:
    body = {**server.body(asking.prompt(), adapter, 1800), "stream": True}
    async with http.stream("POST", "/v1/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                begun.set()
    raise RuntimeError("a stream that was to decode beside the others has ended")


def ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
