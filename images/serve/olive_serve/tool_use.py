"""What an answer may or must call, and the grammar of that."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from llguidance import LLMatcher

from olive_serve.response_format import SCHEMA_LIMIT, WRITTEN, ResponseFormat
from olive_serve.tool_calls import CallFormat, CallReader
from olive_serve.tools import Tool

MOST_CALLS: Final = 16
"""In an answer that follows a grammar of calls alone: a small model may not find its end."""


class ToolsRefused(ValueError):  # noqa: N818 - an answer to the client, no fault
    """The tools cannot be used so; the text says why, ``param`` names the field."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param


@dataclass(frozen=True)
class ToolUse:
    """The ``tools`` that an answer may call; whether it must, and no more than one of them."""

    tools: tuple[Tool, ...]
    required: bool
    single: bool
    format: CallFormat

    def reader(self) -> CallReader:
        """Of one choice."""
        names = {tool.function.name for tool in self.tools}
        return CallReader(self.format, names, single=self.single)

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends an answer that has its one call."""
        return (self.format.closing,) if self.single and self.format.closing else ()

    async def grammar(self, answer: ResponseFormat | None) -> str | None:
        """What the answer must follow, ``answer`` where it is no call; None for any text.

        Raises ToolsRefused, and SchemaRefused for the answer's schema.
        """
        if answer is None or await answer.grammar() is None:
            if not (self.required or any(tool.function.strict for tool in self.tools)):
                return None
            schema = None
        elif self.format.opening:
            schema = answer.json_schema.of if answer.json_schema else {"type": "object"}
        else:
            why = "not together with tools here: this model's calls look like answers in JSON"
            raise ToolsRefused("response_format", why)
        grammar = LLMatcher.grammar_from_lark(self._lark(schema))
        if len(grammar) > SCHEMA_LIMIT:
            raise ToolsRefused("tools", f"their schemas are longer than {SCHEMA_LIMIT} bytes")
        await asyncio.to_thread(self._check, grammar)
        return grammar

    def _lark(self, answer: dict[str, Any] | None) -> str:
        """In llguidance's Lark. ``answer``: the schema of an answer without a call."""
        calls = "call" if self.single else f'call ("\\n" call){{0,{MOST_CALLS - 1}}}'
        if self.required:
            start = [f"start: {calls}"]
        elif answer is not None:
            start = [f"start: answer | {calls}", f"answer: {_json(answer)}"]
        else:
            start = self._text()
        gap = "\\n" if self.format.opening else ""
        opening, closing = map(self._marker, (self.format.opening, self.format.closing))
        functions = " | ".join(map(self._function, self.tools))
        return "\n".join(
            [
                "%llguidance {}",
                *start,
                f"call: {opening} body",
                f'body: "{gap}{{\\"name\\": \\"" ({functions}) "}}{gap}" {closing}',
            ]
        )

    def _text(self) -> list[str]:
        """Rules of an answer that is any text, in which what begins like a call is one."""
        opening, tokens = self.format.opening, self.format.tokens
        if not opening:
            return ["start: TEXT? | call", "TEXT: /\\s*[^{\\s](.|\\n)*/"]
        others = " | ".join(f"TEXT {token}" for token in tokens if token != opening)
        before = f"({others})*" if others else ""
        start = f"{before} TEXT | told body" if self.single else f"(told body)* {before} TEXT"
        token = f" | TEXT {opening}" if opening in tokens else ""
        return [
            f"start: {start}",
            f"told: {before} (spelled{token})",
            f"spelled[lazy]: TEXT {json.dumps(opening)}",
            "TEXT: /(.|\\n)*/",
        ]

    def _marker(self, text: str) -> str:
        return text if not text or text in self.format.tokens else json.dumps(text)

    def _function(self, tool: Tool) -> str:
        name = f'{tool.function.name}", "{self.format.arguments}": '
        return f"{json.dumps(name)} {_json(self._schema(tool))}"

    def _schema(self, tool: Tool) -> dict[str, Any]:
        exact = self.required or tool.function.strict
        return tool.schema_of_arguments if exact else {"type": "object"}

    def _check(self, grammar: str) -> None:
        problem = LLMatcher.validate_grammar(grammar)
        if not problem:
            return
        for tool in self.tools:
            if why := _problem(self._schema(tool)):
                raise ToolsRefused("tools", f"the parameters of {tool.function.name}: {why}")
        raise ToolsRefused("tools", problem)


def _problem(schema: dict[str, Any]) -> str:
    """Why nothing can be written by it; empty where something can."""
    try:
        return str(LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema)))
    except ValueError as error:  # a number beyond what JSON's readers take
        return str(error)


def _json(schema: dict[str, Any]) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": WRITTEN})
