"""Where commands draw: rich, with what a program at the end of a pipe expects of it."""

import os
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from olive_cli.terminal.plain import plain

PIPED = 160
"""Columns where there is no terminal to ask: a table is not folded for want of one."""


class Terminal(Console):
    """Every string is text and no markup; a reader that has gone is the caller's to notice."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = PIPED

    def render_str(self, text: str, **how: Any) -> Text:
        """As rich has it, but nothing in a string of others steers the terminal."""
        return super().render_str(plain(text), **how)

    def on_broken_pipe(self) -> NoReturn:
        """As any print() does: rich would end the process with 1, as if a job had failed."""
        raise BrokenPipeError
