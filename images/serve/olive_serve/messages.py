"""What the HTTP process and the worker say to each other: JSON lines, checked on arrival."""

from typing import Final

import msgspec

from olive_serve.engine import FinishReason, GenerationRequest, RefusalCode, TokenLogprobs


class _Message(msgspec.Struct, tag=True, array_like=True):
    """A type of line; the tag is the type's name."""


class LoadAdapter(_Message):
    key: str
    file: str


class UnloadAdapter(_Message):
    key: str


class Generate(_Message):
    id: int
    request: GenerationRequest


class Cancel(_Message):
    id: int


class Ready(_Message):
    """The model is loaded and has computed a token."""

    max_model_len: int


class NotLoaded(_Message):
    """The model does not load; the process ends."""

    message: str


class Alive(_Message):
    """The heartbeat, about once a second."""

    kv_cache_usage: float


class AdapterLoaded(_Message):
    key: str


class AdapterFailed(_Message):
    key: str
    message: str


class Accepted(_Message):
    id: int
    prompt_tokens: int


class Refused(_Message):
    id: int
    code: RefusalCode
    message: str


class Started(_Message):
    """The request left the queue; so many tokens of its prompt are known already."""

    id: int
    cached_tokens: int


class Token(_Message):
    """One more token of a choice; the text is empty while it completes no character."""

    id: int
    choice: int
    text: str
    logprobs: TokenLogprobs | None = None


class Finished(_Message):
    """A choice has ended."""

    id: int
    choice: int
    reason: FinishReason
    completion_tokens: int


class Failed(_Message):
    """The engine could not go on with this request; others are not touched."""

    id: int
    message: str


Command = LoadAdapter | UnloadAdapter | Generate | Cancel
Event = (
    Ready | NotLoaded | Alive | AdapterLoaded | AdapterFailed
    | Accepted | Refused | Started | Token | Finished | Failed
)  # fmt: skip

_ENCODER: Final = msgspec.json.Encoder()
_COMMANDS: Final = msgspec.json.Decoder(Command)
_EVENTS: Final = msgspec.json.Decoder(Event)


def to_line(message: Command | Event) -> bytes:
    """The message as one line."""
    return _ENCODER.encode(message) + b"\n"


def command_of(line: bytes) -> Command:
    """Raises msgspec.DecodeError for a line that is no command."""
    command: Command = _COMMANDS.decode(line)
    return command


def event_of(line: bytes) -> Event:
    """Raises msgspec.DecodeError for a line that is no event."""
    event: Event = _EVENTS.decode(line)
    return event
