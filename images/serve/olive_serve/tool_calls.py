"""Calls of tools as models write them: how, by their chat template, and where in a growing text."""

import json
import re
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from olive_serve.engine import Delta, Finish


@dataclass(frozen=True)
class CallFormat:
    """A call is a JSON object of a name and of arguments, whose key is ``arguments``.

    It stands between ``opening`` and ``closing``. Without an opening it is an answer that begins
    with such an object. ``several``: one answer may have more than one. ``tokens``: what looks
    like ``<this>`` and is one token of the model; a grammar must name it as such.
    """

    arguments: str
    opening: str = ""
    closing: str = ""
    several: bool = False
    tokens: tuple[str, ...] = ()


HERMES: Final = CallFormat("arguments", "<tool_call>", "</tool_call>", several=True)
"""Hermes', Qwen's and SmolLM's."""
LLAMA: Final = CallFormat("parameters")
"""Llama 3's: the ``<|python_tag|>`` that may precede it is a special token, which no text shows."""

_HERMES: Final = re.compile(r"<tool_call>.*arguments", re.DOTALL)
_XML: Final = re.compile(r"<function=|<arg_key>")
_LLAMA: Final = re.compile(r'"name\\?": function name, \\?"parameters\\?": dictionary')


def format_of(template: str) -> CallFormat | None:
    """How a model with this chat template writes calls; None for a way that is not known."""
    if _HERMES.search(template) and not _XML.search(template):
        return HERMES
    return LLAMA if _LLAMA.search(template) else None


@dataclass(frozen=True)
class ToolCall:
    """The call ``index`` of one choice; ``arguments`` is JSON."""

    choice: int
    index: int
    name: str
    arguments: str
    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:24]}")


class CallReader:
    """Reads one choice's answer; text and calls come out, however the tokens split them.

    Text that may be the beginning of a call is held back until that is decided. What is no call of
    a tool of ``names`` is text, and so is what follows the first call if ``single``. Blanks before
    a call, and at the end of an answer that has one, are nobody's.
    """

    def __init__(self, format: CallFormat, names: Collection[str], *, single: bool) -> None:
        self._format = format
        self._names = names
        self._single = single
        self._held = ""
        self._calls = 0
        self._plain = False
        """Is no call looked for any more?"""
        self._object: _Object | None = None
        """Of the call whose opening is the first that is held, after blanks."""

    def read(self, item: Delta | Finish) -> Iterator[Delta | ToolCall | Finish]:
        """What can be told of the answer after this."""
        ended = isinstance(item, Finish)
        delta = Delta(item.choice, "", 0) if isinstance(item, Finish) else item
        self._held += delta.text
        text, calls = "", []
        while (found := self._next(ended)) is not None:
            if isinstance(found, str):
                text += found
            else:
                calls.append(ToolCall(item.choice, self._calls, *found))
                self._calls += 1
                self._plain |= self._single
        if text or not ended:
            yield replace(delta, text=text)
        yield from calls
        if isinstance(item, Finish):
            yield item

    def _next(self, ended: bool) -> str | tuple[str, str] | None:
        """The next text or call that is decided; None until there is more."""
        return self._text(ended) if self._object is None else self._call(self._object, ended)

    def _text(self, ended: bool) -> str | None:
        held, opening = self._held, self._format.opening
        if not opening and held.strip() and not held.lstrip().startswith("{"):
            self._plain = True
        at = -1 if self._plain else held.find(opening or "{")
        if at >= 0:
            text = held[:at].rstrip()
            self._object = _Object(at + len(opening) - len(text))
        elif ended:
            self._held = ""
            return (held.rstrip() if self._calls else held) or None
        else:
            text = held[: len(held) - (0 if self._plain else _overlap(held, opening))].rstrip()
        self._held = held[len(text) :]
        return text if text or self._object else None

    def _call(self, object: "_Object", ended: bool) -> str | tuple[str, str] | None:
        held, closing = self._held, self._format.closing
        try:
            end = object.end(held)
            if end is None and not ended:
                return None
            rest = held[end:].lstrip()
            if end and not ended and len(rest) < len(closing) and closing.startswith(rest):
                return None
            call = self._parsed(held[object.begin : end].strip())
        except (ValueError, RecursionError):
            self._object, self._plain = None, not self._format.opening
            self._held = held[object.begin :] if self._format.opening else held
            return held[: len(held) - len(self._held)]
        self._object = None
        if ended and closing.startswith(rest):
            rest = closing
        closed = closing and rest.startswith(closing)
        self._held = rest.removeprefix(closing) if closed else held[end:]
        return call

    def _parsed(self, text: str) -> tuple[str, str]:
        """The name and the arguments. Raises ValueError for what is no call."""
        call = json.loads(text, parse_constant=_refuse)
        name, arguments = call.get("name"), call.get(self._format.arguments)
        known = isinstance(name, str) and name in self._names
        if not known or not isinstance(arguments, dict):
            raise ValueError("no call of a tool that there is")
        # Half of a surrogate pair can come of an escape, and must then stay one.
        escaped = "\\u" in text
        return name, json.dumps(arguments, ensure_ascii=escaped, allow_nan=False)


class _Object:
    """Where a JSON object ends in a growing text; blanks may stand before it, at ``begin``."""

    _BLANK: Final = re.compile(r"\s*+")
    _OUTSIDE: Final = re.compile(r"[\s\w:,.+-]*+")
    _STRING: Final = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self._at = begin
        self._depth = 0
        self._in_string = False
        self._end: int | None = None

    def end(self, text: str) -> int | None:
        """None: more is needed. Raises ValueError where no object can come of it."""
        while self._end is None:
            skip = (
                self._STRING if self._in_string else self._OUTSIDE if self._depth else self._BLANK
            )
            self._at = skip.match(text, self._at).end()  # type: ignore[union-attr]
            if self._at == len(text) or (self._in_string and text[self._at] == "\\"):
                return None
            character = text[self._at]
            self._at += 1
            if character == '"' and self._depth:
                self._in_string = not self._in_string
            elif character in "{[" and (self._depth or character == "{"):
                self._depth += 1
            elif character in "}]" and self._depth:
                self._depth -= 1
                if self._depth == 0:
                    self._end = self._at
            else:
                raise ValueError("no JSON")
        return self._end


def _overlap(text: str, opening: str) -> int:
    """Length of the longest end of ``text`` that begins ``opening``."""
    longest = min(len(text), len(opening) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(opening[:n])), 0)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
