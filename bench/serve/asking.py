"""Who asks: streams over real HTTP, and what each of them brought."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import httpx

from serve.servers import Server

PROMPT, ANSWER = 64, 96
"""Tokens in and out, unless a case says otherwise."""


@dataclass
class Streamed:
    """One answer: when it was asked for, and when its pieces came."""

    asked: float
    pieces: list[float]

    @property
    def first_s(self) -> float:
        """Seconds to the first token."""
        return self.pieces[0] - self.asked


def prompt(tokens: int = PROMPT, begins: str = "") -> str:
    """A text of so many tokens that no server has seen before, but for how it begins."""
    letters = random.choices("abcdefghijklmnopqrstuvwxyz", k=tokens - len(begins))  # noqa: S311
    return begins + "".join(letters)


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Connections to a server, kept open."""
    async with httpx.AsyncClient(base_url=server.url, timeout=300, trust_env=False) as http:
        yield http


async def ask(
    http: httpx.AsyncClient,
    server: Server,
    text: str,
    adapter: int | None = None,
    tokens: int = ANSWER,
) -> Streamed:
    """Stream an answer to its end. Raises RuntimeError where it is not as long as it must be."""
    body = server.body(text, adapter, tokens)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    result = Streamed(perf_counter(), [])
    usage: dict[str, int] = {}
    async with http.stream("POST", "/v1/completions", json=body) as response:
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code}: {(await response.aread()).decode()}")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                event = json.loads(line[6:])
                usage = event.get("usage") or usage
                # Of random weights all tokens may be halves of characters: then the end is seen.
                if any(c["text"] or c["finish_reason"] for c in event["choices"]):
                    result.pieces.append(perf_counter())
    if usage["completion_tokens"] != tokens or usage["prompt_tokens"] != len(text):
        raise RuntimeError(f"asked for {len(text)} + {tokens} tokens, and got {usage}")
    return result


async def tokens_per_second(server: Server, adapters: Sequence[int | None]) -> float:
    """All streams together, from the first question to the last answer's end."""
    async with client(server) as http:
        began = perf_counter()
        await asyncio.gather(*(ask(http, server, prompt(), adapter) for adapter in adapters))
        return len(adapters) * ANSWER / (perf_counter() - began)
