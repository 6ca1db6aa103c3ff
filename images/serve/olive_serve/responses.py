"""The bodies of OpenAI's answers: whole, or as the chunks of a stream."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import orjson

from olive_serve.engine import Delta, Finish, FinishReason, TokenLogprob, TokenLogprobs, Usage
from olive_serve.tool_calls import ToolCall


@dataclass
class Choice:
    """What one choice has come to."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    reason: FinishReason | None = None

    def take(self, item: Delta | ToolCall | Finish) -> None:
        """A further piece of it."""
        if isinstance(item, Finish):
            self.reason = item.reason
        elif isinstance(item, ToolCall):
            self.calls.append(item)
        else:
            self.text += item.text
            self.logprobs += item.logprobs


class Answer:
    """The objects of one answer; ``chat`` decides their shape."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self.chat = chat
        self.id = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
        self._model = model
        self._created = int(time.time())
        self._told: dict[int, int] = {}
        self._called: set[int] = set()

    def whole(self, choices: list[Choice], usage: Usage) -> dict[str, Any]:
        """The answer in one piece."""
        kind = "chat.completion" if self.chat else "text_completion"
        bodies = [
            self._choice(
                index,
                {"message": _message(choice)} if self.chat else {"text": choice.text},
                _reason(choice.reason, called=bool(choice.calls)),
                self._logprobs(index, choice.logprobs),
            )
            for index, choice in enumerate(choices)
        ]
        return self._object(kind, bodies, usage=usage_body(usage))

    def opening(self, choice: int) -> dict[str, Any]:
        """A chat's first chunk of a choice: whose turn it is."""
        return self._chunk(choice, {"role": "assistant", "content": ""}, "", None)

    def chunk(self, delta: Delta) -> dict[str, Any]:
        """A piece of a choice's text."""
        logprobs = self._logprobs(delta.choice, delta.logprobs)
        return self._chunk(delta.choice, {"content": delta.text}, delta.text, None, logprobs)

    def call(self, call: ToolCall) -> dict[str, Any]:
        """A chat's chunk that is a call."""
        self._called.add(call.choice)
        delta = {"tool_calls": [{"index": call.index, **_call(call)}]}
        return self._chunk(call.choice, delta, "", None)

    def last(self, finish: Finish) -> dict[str, Any]:
        """The chunk that says why a choice ended."""
        reason = _reason(finish.reason, called=finish.choice in self._called)
        return self._chunk(finish.choice, {}, "", reason)

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The chunk after the last, for ``include_usage``."""
        return self._object(self._chunk_kind, [], usage=usage_body(usage))

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        text: str,
        reason: str | None,
        logprobs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        content = {"delta": delta} if self.chat else {"text": text}
        return self._object(self._chunk_kind, [self._choice(choice, content, reason, logprobs)])

    def _choice(
        self,
        index: int,
        content: dict[str, Any],
        reason: str | None,
        logprobs: dict[str, Any] | None,
    ) -> dict[str, Any]:
        return {"index": index, **content, "logprobs": logprobs, "finish_reason": reason}

    def _logprobs(self, choice: int, of: list[TokenLogprobs] | tuple[TokenLogprobs, ...]) -> Any:
        if not of:
            return None
        if self.chat:
            return {
                "content": [
                    {**_scored(t.chosen), "top_logprobs": [*map(_scored, t.top)]} for t in of
                ]
            }
        offsets, at = [], self._told.get(choice, 0)
        for token in of:
            offsets.append(at)
            at += len(token.chosen.token)
        self._told[choice] = at
        return {
            "tokens": [t.chosen.token for t in of],
            "token_logprobs": [t.chosen.logprob for t in of],
            "top_logprobs": [{each.token: each.logprob for each in t.top} for t in of],
            "text_offset": offsets,
        }

    def _object(self, kind: str, choices: list[Any], **more: Any) -> dict[str, Any]:
        named = {"id": self.id, "object": kind, "created": self._created, "model": self._model}
        return {**named, "choices": choices, **more}


def _message(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text}
    if choice.calls:
        message["content"] = choice.text or None
        message["tool_calls"] = [*map(_call, choice.calls)]
    return message


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _reason(reason: FinishReason | None, *, called: bool) -> str | None:
    return "tool_calls" if called and reason == "stop" else reason


def _scored(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": list(token.token.encode()),
    }


def usage_body(usage: Usage) -> dict[str, Any]:
    """Tokens as OpenAI counts them."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def sse(body: dict[str, Any] | str) -> bytes:
    """One server-sent event."""
    return b"data: " + (body.encode() if isinstance(body, str) else orjson.dumps(body)) + b"\n\n"
