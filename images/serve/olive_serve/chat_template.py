"""From messages to the one text the model continues, by the template that came with the model.

Rendered as in Hugging Face transformers (``apply_chat_template``): Jinja in a sandbox, with
``raise_exception``, ``strftime_now`` and the special tokens' names.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class ChatTemplateError(Exception):
    """The messages cannot be rendered; the text is for the client."""


class ChatTemplate:
    """The chat template of the model in one folder."""

    def __init__(
        self,
        template: Template | None = None,
        tokens: dict[str, str] | None = None,
        why_none: str = "This model has no chat template",
    ) -> None:
        self._template = template
        self._tokens = tokens or {}
        self._why_none = why_none

    @staticmethod
    def of_model(folder: Path) -> "ChatTemplate":
        """The template in ``chat_template.jinja`` or ``tokenizer_config.json``, if there is one.

        Raises ValueError for a configuration that is no JSON.
        """
        config: dict[str, Any] = {}
        if (file := folder / "tokenizer_config.json").exists():
            config = json.loads(file.read_text())
        source = config.get("chat_template")
        if (file := folder / "chat_template.jinja").exists():
            source = file.read_text()
        if isinstance(source, list):
            source = next((t["template"] for t in source if t["name"] == "default"), None)
        tokens = {n: _content(config[n]) for n in config if n.endswith("_token") and config[n]}
        if source is None:
            return ChatTemplate()
        try:
            return ChatTemplate(_environment().from_string(source), tokens)
        except TemplateError as error:
            return ChatTemplate(why_none=f"This model's chat template cannot be read: {error}")

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt, up to where the assistant speaks. Raises ChatTemplateError."""
        if self._template is None:
            raise ChatTemplateError(f"{self._why_none}; use /v1/completions.")
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=True, tools=None, **self._tokens
            )
        except TemplateError as error:
            raise ChatTemplateError(f"The model's chat template refused: {error}") from error


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(raise_exception=_raise, strftime_now=_now)
    return environment


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(format: str) -> str:
    return datetime.now().strftime(format)


def _content(token: Any) -> str:
    return token["content"] if isinstance(token, dict) else str(token)
