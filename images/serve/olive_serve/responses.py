"""The bodies of OpenAI's answers: whole, or as the chunks of a stream."""

import json
import time
import uuid
from typing import Any

from olive_serve.engine import Finish


class Answer:
    """The objects of one answer; ``chat`` decides their shape."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self.chat = chat
        self.id = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
        self._model = model
        self._created = int(time.time())

    def whole(self, text: str, finish: Finish) -> dict[str, Any]:
        """The answer in one piece."""
        content = (
            {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        )
        kind = "chat.completion" if self.chat else "text_completion"
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": finish.reason}
        return self._object(kind, [choice], usage=usage(finish))

    def opening(self) -> dict[str, Any]:
        """A chat's first chunk: whose turn it is."""
        return self._chunk({"role": "assistant", "content": ""}, "", None)

    def chunk(self, text: str) -> dict[str, Any]:
        """A piece of the text."""
        return self._chunk({"content": text}, text, None)

    def last(self, finish: Finish) -> dict[str, Any]:
        """The chunk that says why the text ended."""
        return self._chunk({}, "", finish.reason)

    def usage_chunk(self, finish: Finish) -> dict[str, Any]:
        """The chunk after the last, for ``include_usage``."""
        return self._object(self._chunk_kind, [], usage=usage(finish))

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def _chunk(self, delta: dict[str, str], text: str, reason: str | None) -> dict[str, Any]:
        content = {"delta": delta} if self.chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": reason}
        return self._object(self._chunk_kind, [choice])

    def _object(self, kind: str, choices: list[Any], **more: Any) -> dict[str, Any]:
        named = {"id": self.id, "object": kind, "created": self._created, "model": self._model}
        return {**named, "choices": choices, **more}


def usage(finish: Finish) -> dict[str, int]:
    """Tokens as OpenAI counts them."""
    total = finish.prompt_tokens + finish.completion_tokens
    return {
        "prompt_tokens": finish.prompt_tokens,
        "completion_tokens": finish.completion_tokens,
        "total_tokens": total,
    }


def sse(body: dict[str, Any] | str) -> bytes:
    """One server-sent event."""
    data = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return f"data: {data}\n\n".encode()
