"""What the HTTP process and the worker say to each other: JSON lines, checked on arrival."""

import json
from dataclasses import asdict, dataclass
from typing import Final, get_args

from olive_contract.serial import decode
from olive_serve.engine import FinishReason, GenerationRequest, RefusalCode


@dataclass(frozen=True)
class LoadAdapter:
    key: str
    file: str


@dataclass(frozen=True)
class UnloadAdapter:
    key: str


@dataclass(frozen=True)
class Generate:
    id: int
    request: GenerationRequest


@dataclass(frozen=True)
class Cancel:
    id: int


@dataclass(frozen=True)
class Ready:
    """The model is loaded and has computed a token."""

    max_model_len: int


@dataclass(frozen=True)
class NotLoaded:
    """The model does not load; the process ends."""

    message: str


@dataclass(frozen=True)
class Alive:
    """The heartbeat, about once a second."""

    kv_cache_usage: float


@dataclass(frozen=True)
class AdapterLoaded:
    key: str


@dataclass(frozen=True)
class AdapterFailed:
    key: str
    message: str


@dataclass(frozen=True)
class Accepted:
    id: int
    prompt_tokens: int


@dataclass(frozen=True)
class Refused:
    id: int
    code: RefusalCode
    message: str


@dataclass(frozen=True)
class Started:
    """The request left the queue."""

    id: int


@dataclass(frozen=True)
class Token:
    """One more token of a request; the text is empty while it completes no character."""

    id: int
    text: str


@dataclass(frozen=True)
class Finished:
    id: int
    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Failed:
    """The engine could not go on with this request; others are not touched."""

    id: int
    message: str


Command = LoadAdapter | UnloadAdapter | Generate | Cancel
Event = (
    Ready | NotLoaded | Alive | AdapterLoaded | AdapterFailed
    | Accepted | Refused | Started | Token | Finished | Failed
)  # fmt: skip
Message = Command | Event
_TYPES: Final = {t.__name__: t for t in get_args(Message)}


def to_line(message: Message) -> bytes:
    """The message as one line, with its type's name."""
    return json.dumps([type(message).__name__, asdict(message)]).encode() + b"\n"


def from_line(line: bytes) -> Message:
    """ValueError or KeyError for a line that is no message."""
    name, body = json.loads(line)
    message: Message = decode(_TYPES[name], body)
    return message
