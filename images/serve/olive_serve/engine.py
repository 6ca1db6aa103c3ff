"""What the HTTP side needs of an engine: the seam at which another engine can stand.

An engine has one model and any number of adapters by their keys. It answers requests as streams of
text, knows how many wait, and says truthfully whether it is alive.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from olive_serve.sampling_params import SamplingParams

FinishReason = Literal["stop", "length"]
RefusalCode = Literal[
    "context_length_exceeded",
    "invalid_json_schema",
    "invalid_prompt",
    "too_many_choices",
    "unknown_token",
]


@dataclass(frozen=True)
class GenerationRequest:
    """Tokens to continue, ``n`` times.

    ``adapter`` is a loaded adapter's key, None for the base. ``max_tokens`` None: as many as fit.
    The text stops before any of ``stop``, and follows ``grammar`` (llguidance's) if there is one.
    """

    prompt: tuple[int, ...]
    adapter: str | None
    max_tokens: int | None
    sampling: SamplingParams
    stop: tuple[str, ...] = ()
    n: int = 1
    grammar: str | None = None


@dataclass(frozen=True)
class TokenLogprob:
    """A token, its text, and the natural logarithm of its probability."""

    id: int
    token: str
    logprob: float


@dataclass(frozen=True)
class TokenLogprobs:
    """A token of the answer, and the likeliest ones at its place."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class Usage:
    """Tokens of a whole request; ``cached`` are those of the prompt that were known already."""

    prompt: int
    cached: int
    completion: int


@dataclass(frozen=True)
class Delta:
    """Text of one choice that arrived since its last one, and the tokens it took (text may lag
    behind). ``logprobs`` has an entry for each token, if they were asked for."""

    choice: int
    text: str
    tokens: int
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True)
class Finish:
    """How one choice ended. The last one's ``usage`` is the request's; others have none."""

    choice: int
    reason: FinishReason
    usage: Usage | None = None


class RequestRefused(Exception):  # noqa: N818 - an answer to the client, no fault
    """The engine cannot take this request as it is."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class EngineUnavailable(Exception):  # noqa: N818 - a state that passes
    """No engine is there to answer, or it died while answering; trying again may help."""


class GenerationFailed(Exception):  # noqa: N818 - see EngineUnavailable
    """The engine could not go on with this one request."""


class AdapterRefused(Exception):  # noqa: N818 - reported beside the adapter, no fault of the server
    """The adapter does not load, or does not fit the model."""


class Generation(Protocol):
    """A request on its way. Every way out of it goes through ``cancel``."""

    @property
    def started(self) -> bool:
        """False while it waits in the queue."""

    async def accepted(self) -> int:
        """Prompt tokens, once the engine has taken the request. Raises RequestRefused."""

    def __aiter__(self) -> AsyncIterator[Delta | Finish]:
        """Text as it comes, and a Finish for each choice; the last Finish has the usage.

        Raises EngineUnavailable if the engine dies, GenerationFailed if this request alone fails.
        """

    def cancel(self) -> None:
        """Free what the request holds; nothing if it has ended."""


@dataclass(frozen=True)
class Occupancy:
    """How much an engine has to do: requests by the key of their adapter, None for the base."""

    running: tuple[str | None, ...] = ()
    waiting: tuple[str | None, ...] = ()
    kv_cache_usage: float = 0.0
    """Share of the key-value cache that running requests have reserved, 0 to 1."""

    @property
    def busy(self) -> bool:
        """Is anybody waiting for an answer?"""
        return bool(self.running or self.waiting)


class Engine(Protocol):
    """A model and its adapters, loaded and computing somewhere."""

    @property
    def ready(self) -> bool:
        """The model is loaded and the engine gave a sign of life lately."""

    @property
    def adapters(self) -> frozenset[str]:
        """Keys of the adapters that requests may name."""

    @property
    def max_model_len(self) -> int:
        """Most tokens of prompt and answer together; 0 until ready."""

    @property
    def occupancy(self) -> Occupancy:
        """What runs and waits now."""

    async def start(self, model: Path) -> None:
        """Load the exported model in this folder. EngineUnavailable says why it does not load."""

    async def load_adapter(self, key: str, file: Path) -> None:
        """Offer an adapter. AdapterRefused says why not; requests go on meanwhile."""

    def unload_adapter(self, key: str) -> None:
        """Take an adapter away from new requests now, and from memory when none uses it."""

    def submit(self, request: GenerationRequest) -> Generation:
        """Queue a request. Raises EngineUnavailable if the engine is not ready."""

    async def close(self) -> None:
        """Stop. Requests still on their way raise EngineUnavailable."""
