"""A row's text: ``"<|user|>\\n{prompt}<|end|>"`` with the row's columns put in.

Python's format syntax reduced to plain column names; ``{{`` and ``}}`` stand for braces.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olive_stage.work import invalid


@dataclass(frozen=True)
class Template:
    """Parts in order: a literal text, then a column's name (empty after the last text)."""

    parts: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, each once, in order."""
        return tuple(dict.fromkeys(column for _, column in self.parts if column))

    def render(self, row: Mapping[str, Any]) -> str:
        """The whole text of a row."""
        return "".join(text + (str(row[column]) if column else "") for text, column in self.parts)

    def question(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The text before the last column, and that column's value: what to ask, and the answer."""
        last = max(i for i, (_, column) in enumerate(self.parts) if column)
        *before, (text, column) = self.parts[: last + 1]
        return Template(tuple(before)).render(row) + text, str(row[column])

    @property
    def tail(self) -> str:
        """The literal text after the last column."""
        last = max(i for i, (_, column) in enumerate(self.parts) if column)
        return "".join(text for text, _ in self.parts[last + 1 :])


def parse(text: str) -> Template:
    """The template of this text; InvalidInput says what is wrong with it."""
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError as error:
        raise invalid(
            f"the template cannot be read ({error}); write {{{{ and }}}} for braces"
        ) from error
    for _, name, form, conversion in fields:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise invalid(
                f"the template names {'{' + name + '}'!r}; only plain column names may stand in "
                "braces, and {{ and }} for braces themselves"
            )
    template = Template(tuple((text, name or "") for text, name, _, _ in fields))
    if not template.columns:
        raise invalid("the template names no column; write {column} where a row's value goes")
    return template
