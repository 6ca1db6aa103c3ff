"""Thousands of requests that nobody should send, beside one stream: does it stall?"""

import asyncio
import json
import random
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from time import perf_counter
from typing import Any, Final

import httpx

from serve import asking
from serve.servers import Ours

AT_ONCE: Final = 8
HUGE_EVERY: Final = 100
"""One of so many is of megabytes: all of them would measure the network."""


async def stalls(server: Ours, count: int) -> dict[str, Any]:
    """Milliseconds between the pieces of a stream while ``count`` requests are refused.

    They are sent by another process: making them must not hold up who measures.
    """
    gaps: list[float] = []
    async with asking.client(server) as http:
        begun = asyncio.Event()
        stream = asyncio.create_task(_stream(http, server, gaps, begun))
        await begun.wait()
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "serve.hostile", server.url, str(count), stdout=PIPE
        )
        told, _ = await sender.communicate()
        if sender.returncode or stream.done():
            raise RuntimeError("a bad request was served, or the stream beside them has ended")
        stream.cancel()
    return {
        "requests": count,
        "statuses": json.loads(told),
        "longest_stall_ms": round(1000 * max(gaps), 1),
    }


async def _stream(
    http: httpx.AsyncClient, server: Ours, gaps: list[float], begun: asyncio.Event
) -> None:
    """Answers one after the other; a gap is between two pieces of the same one."""
    while True:
        body = {**server.body(asking.prompt(), 0, 1800), "stream": True}
        async with http.stream("POST", "/v1/completions", json=body) as response:
            last = 0.0
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                now = perf_counter()
                if last:
                    gaps.append(now - last)
                last = now
                begun.set()


async def attack(url: str, count: int) -> Counter[int]:
    """How often each status was the answer."""
    statuses: Counter[int] = Counter()
    numbers = iter(range(count))
    connection = httpx.AsyncClient(base_url=url, timeout=300, trust_env=False)
    async with connection as http, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_attack(http, numbers, statuses))
    return statuses


async def _attack(http: httpx.AsyncClient, numbers: Any, statuses: Counter[int]) -> None:
    for number in numbers:
        path, content = hostile(random.Random(number))  # noqa: S311
        answer = await http.post(path, content=content)
        statuses[answer.status_code] += 1
        if not 400 <= answer.status_code < 500:
            raise RuntimeError(f"{path} {content[:200]!r}: {answer.status_code} {answer.text}")
        json.loads(answer.content)["error"]["message"]


def hostile(draw: random.Random) -> tuple[str, bytes]:
    """A request that is wrong in one way."""
    path = draw.choice(["/v1/completions", "/v1/chat/completions"])
    if draw.randrange(HUGE_EVERY) == 0:
        size = draw.choice([1 << 20, 5 << 20, 9 << 20])
        wrong: list[bytes] = [
            b"x" * size,
            b"[" * size,
            json.dumps({"model": "base", "prompt": "a" * size}).encode(),
            json.dumps({"model": "a" * size, "prompt": "a"}).encode(),
            json.dumps({"model": "base", "prompt": "a", "stop": ["x"] * (size // 6)}).encode(),
        ]
        return "/v1/completions", draw.choice(wrong)
    whole: dict[str, Any] = {"model": draw.choice(["base", "a0"]), "max_tokens": 1}
    if path == "/v1/completions":
        whole["prompt"] = "a"
    else:
        whole["messages"] = [{"role": "user", "content": "a"}]
    value: Any = draw.choice(
        [-1, 1e300, float("nan"), float("-inf"), "\ud800", [[]] * 50, {"a": {}}, -(10**40)]
    )
    field = draw.choice(
        ["temperature", "top_p", "max_tokens", "n", "stop", "logit_bias", "response_format", "seed"]
    )
    whole[field] = value if field != "seed" else 10**40
    if field == "stop":
        whole["stop"] = ["x"] * draw.choice([5, 10_000])
    if field in ("temperature", "top_p") and isinstance(value, str):
        whole[field] = "warm"
    body = json.dumps(whole).encode("utf-8", "surrogatepass")
    if draw.random() < 0.2:
        cut = draw.randrange(len(body))
        body = body[:cut] + bytes([draw.randrange(128, 256)]) + body[cut:][: draw.randrange(3)]
    return path, body


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attack(sys.argv[1], int(sys.argv[2])))))
