"""The shell that the tutorial is typed into."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .blocks import Command, Saved
from .shell import Shell, shell

LONG = 20.0


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Shell]:
    with shell(tmp_path, {"PATH": os.environ["PATH"]}) as found:
        yield found


def test_one_command_has_what_another_has_set(typed: Shell) -> None:
    typed.carry_out(Command("export A=1\ncd /"), LONG)
    typed.carry_out(Command("echo $A; pwd", "1\n/"), LONG)


def test_a_saved_file_is_there(typed: Shell) -> None:
    typed.carry_out(Saved("a.txt", "hello\n"), LONG)
    typed.carry_out(Command("cat a.txt", "hello"), LONG)


def test_what_it_says_on_standard_error_counts(typed: Shell) -> None:
    with pytest.raises(AssertionError, match="oh"):
        typed.carry_out(Command("echo oh >&2", ""), LONG)


def test_an_exit_code_has_to_be_the_one_that_is_told(typed: Shell) -> None:
    typed.carry_out(Command("(exit 3)", code=3), LONG)
    with pytest.raises(AssertionError, match="ended with 4"):
        typed.carry_out(Command("(exit 4)"), LONG)


def test_a_command_reads_nothing_from_the_page(typed: Shell) -> None:
    typed.carry_out(Command("cat", ""), LONG)
    typed.carry_out(Command("echo still here", "still here"), LONG)


def test_a_command_that_does_not_end_is_ended(typed: Shell) -> None:
    with pytest.raises(AssertionError, match="did not end"):
        typed.carry_out(Command("echo begun; exec sleep 1000"), 0.5)
