"""From messages to the one text the model continues, by the template that came with the model.

Rendered as in Hugging Face transformers (``apply_chat_template``): Jinja in a sandbox, with
``raise_exception``, ``strftime_now`` and the special tokens' names. Where a model brings a template
for ``tool_use`` beside its default, that is taken for chats with tools.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
from jinja2 import Template, TemplateError, meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from olive_serve.tool_calls import CallFormat, format_of


class ChatTemplateError(Exception):
    """The messages cannot be rendered; the text is for the client, of the field ``param``."""

    def __init__(self, message: str, param: str = "messages") -> None:
        super().__init__(message)
        self.param = param


class ChatTemplate:
    """The chat template of the model in one folder: ``for_tools`` may be another one."""

    def __init__(
        self,
        template: Template | None = None,
        tokens: dict[str, str] | None = None,
        why_none: str = "This model has no chat template",
        *,
        for_tools: Template | None = None,
        calls: CallFormat | None = None,
        why_no_calls: str = "This model's chat template has no place for tools.",
    ) -> None:
        self._template = template
        self._tokens = tokens or {}
        self._why_none = why_none
        self._for_tools = for_tools
        self._calls = calls
        self._why_no_calls = why_no_calls

    @staticmethod
    def of_model(folder: Path) -> "ChatTemplate":
        """The template in ``chat_template.jinja`` or ``tokenizer_config.json``, if there is one.

        Raises ValueError for a configuration that is no JSON.
        """
        config: dict[str, Any] = {}
        if (file := folder / "tokenizer_config.json").exists():
            config = json.loads(file.read_text())
        tokens = {n: _content(config[n]) for n in config if n.endswith("_token") and config[n]}
        named = _sources(folder, config.get("chat_template"))
        if "default" not in named:
            return ChatTemplate()
        try:
            template = _ENVIRONMENT.from_string(named["default"])
            source = named.get("tool_use", named["default"])
            if not _TOOLS & meta.find_undeclared_variables(_ENVIRONMENT.parse(source)):
                return ChatTemplate(template, tokens)
            for_tools = _ENVIRONMENT.from_string(source)
        except TemplateError as error:
            return ChatTemplate(why_none=f"This model's chat template cannot be read: {error}")
        calls, why = format_of(source), "This model calls tools in a way that is not known here."
        added = _added_tokens(folder)
        if calls and added.get(calls.opening):
            why = f"{calls.opening} is a special token of this model, which answers do not show."
            calls = None
        if calls:
            known = (token for token, special in added.items() if not special)
            calls = replace(calls, tokens=tuple(filter(_LIKE_A_TAG.fullmatch, known)))
        return ChatTemplate(template, tokens, for_tools=for_tools, calls=calls, why_no_calls=why)

    @property
    def calls(self) -> CallFormat:
        """How the model calls tools. Raises ChatTemplateError."""
        if self._template is None:
            raise ChatTemplateError(f"{self._why_none}.", "tools")
        if self._calls is None:
            raise ChatTemplateError(self._why_no_calls, "tools")
        return self._calls

    def render(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()
    ) -> str:
        """The prompt, up to where the assistant speaks. Raises ChatTemplateError."""
        if self._template is None:
            raise ChatTemplateError(f"{self._why_none}; use /v1/completions.")
        if self._for_tools is None and any(
            m["role"] == "tool" or "tool_calls" in m for m in messages
        ):
            raise ChatTemplateError(self._why_no_calls)
        template = self._for_tools if tools and self._for_tools else self._template
        try:
            return template.render(
                messages=messages,
                documents=None,
                add_generation_prompt=True,
                **dict.fromkeys(_TOOLS, tools or None),
                **self._tokens,
            )
        except Exception as error:  # a program of others, given what a client sent
            raise ChatTemplateError(f"The model's chat template refused: {error}") from error


class _Generation(Extension):
    """``{% generation %}``: what the assistant says, which matters in training alone."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _sources(folder: Path, configured: Any) -> dict[str, str]:
    """Templates by their names."""
    if (file := folder / "chat_template.jinja").exists():
        configured = file.read_text()
    if isinstance(configured, list):
        return {each["name"]: each["template"] for each in configured}
    named = {} if configured is None else {"default": configured}
    if (file := folder / "additional_chat_templates" / "tool_use.jinja").exists():
        named["tool_use"] = file.read_text()
    return named


class _Token(msgspec.Struct):
    content: str
    special: bool = False


class _Tokenizer(msgspec.Struct):
    added_tokens: list[_Token] = []


def _added_tokens(folder: Path) -> dict[str, bool]:
    """The texts that are always one token, and whether answers do not show it."""
    if not (file := folder / "tokenizer.json").exists():
        return {}
    tokens = msgspec.json.decode(file.read_bytes(), type=_Tokenizer).added_tokens
    return {token.content: token.special for token in tokens}


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(raise_exception=_raise, strftime_now=_now)
    return environment


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(format: str) -> str:
    return datetime.now().strftime(format)


def _content(token: Any) -> str:
    return token["content"] if isinstance(token, dict) else str(token)


_ENVIRONMENT: Final = _environment()
_TOOLS: Final = {"tools", "xml_tools"}
"""Everybody's name for them, and SmolLM3's."""
_LIKE_A_TAG: Final = re.compile(r"<[^<>\s]+>")
