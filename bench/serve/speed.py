"""Tokens per second, side by side: every round asks each server each question once."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Final

from serve import asking
from serve.servers import GenaiLoop, Server

STREAMS: Final[Mapping[str, tuple[int | None, ...]]] = {
    "base1": (None,),
    "lora1": (0,),
    "base8": (None,) * 8,
    "lora8": (0,) * 8,
    "mixed8": (0, 1, 2, 3) * 2,
}
"""What is asked for at once: an adapter for each stream, or none."""
AGAIN: Final = {"base1": 3, "lora1": 3}
"""What is over so soon is asked for so often."""


@dataclass(frozen=True)
class Case:
    """A ratio of two speeds, by ``SERVER/STREAMS``, and what it is to be at least."""

    name: str
    ours: str
    against: str
    at_least: float


CASES: Final = (
    Case("base1_genai", "ours/base1", "genai/base1", 0.97),
    Case("lora1_genai", "ours/lora1", "genai/lora1", 0.97),
    Case("lora8_lora1", "ours/lora8", "ours/lora1", 2.4),
    Case("mixed8_genai", "ours/mixed8", "genai/mixed", 2.2),
    Case("mixed8_llama", "ours/mixed8", "llama/mixed8", 2.2),
    Case("lora8_llama", "ours/lora8", "llama/lora8", 1.15),
    Case("lora1_llama", "ours/lora1", "llama/lora1", 1.0),
    Case("base8_llama", "ours/base8", "llama/base8", 1.0),
    Case("base1_llama", "ours/base1", "llama/base1", 0.9),
    Case("mixed8_lora8", "ours/mixed8", "ours/lora8", 0.92),
)

Round = dict[str, float]
"""Tokens per second by ``SERVER/STREAMS``."""


async def measure(servers: Mapping[str, Server], genai: GenaiLoop) -> Round:
    """One round, in an order of its own: nobody is always the one that comes after another."""
    found: Round = {}
    streams = list(STREAMS)
    random.shuffle(streams)
    for name in streams:
        turns = [*servers]
        random.shuffle(turns)
        for server in turns:
            times = [
                await asking.tokens_per_second(servers[server], STREAMS[name])
                for _ in range(AGAIN.get(name, 1))
            ]
            found[f"{server}/{name}"] = median(times)
        if name in AGAIN:
            adapters: Sequence[int | None] = STREAMS[name]
            found[f"genai/{name}"] = median(_one(genai, adapters[0]) for _ in range(AGAIN[name]))
    began = perf_counter()
    for adapter in (0, 1, 2, 3):
        genai.ask(asking.prompt(), adapter, asking.ANSWER)
    found["genai/mixed"] = 4 * asking.ANSWER / (perf_counter() - began)
    return found


def _one(genai: GenaiLoop, adapter: int | None) -> float:
    began = perf_counter()
    genai.ask(asking.prompt(), adapter, asking.ANSWER)
    return asking.ANSWER / (perf_counter() - began)


def ratios(rounds: Sequence[Round]) -> dict[str, float]:
    """Each case's median over the rounds; the two of a ratio are always of the same round."""
    return {
        case.name: round(median(each[case.ours] / each[case.against] for each in rounds), 3)
        for case in CASES
    }


def speeds(rounds: Sequence[Round]) -> dict[str, float]:
    """Medians over the rounds."""
    return {name: round(median(each[name] for each in rounds), 1) for name in sorted(rounds[0])}
