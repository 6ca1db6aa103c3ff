"""docs/kubectl-olive.md: its screens are what the commands print, its tables what there is."""

import os
import re
from pathlib import Path

import pytest

from olive_cli import errors
from olive_cli.argv.parser import COMMANDS, COMPLETION
from olive_cli.commands.chat import HELP
from olive_cli.errors import CliError
from olive_cli.forecast.outlook import Fate

from .files import GOLDEN

PAGE = Path(__file__).parents[2] / "docs" / "kubectl-olive.md"
SCREENS = {
    "status travel": "status",
    "status": "status-jobs",
    "why travel": "why",
    "logs travel finetune/travel": "logs",
    "diff -f travel.yaml": "diff-lora",
    "diff -f with-food.yaml": "diff-adapter",
    "artifacts": "artifacts",
    "gc": "gc",
}
"""What is typed, and the file of what it prints; other tests of this folder hold it to that."""
BLOCK = re.compile(r"```console\n\$ kubectl olive (.+)\n([^`]*)```")


def test_the_screens_are_what_the_commands_print() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(BLOCK.sub(lambda found: _screen(found[1]), PAGE.read_text()))
    shown = dict(BLOCK.findall(PAGE.read_text()))
    assert shown == {typed: (GOLDEN / f"{name}.txt").read_text() for typed, name in SCREENS.items()}


def _screen(typed: str) -> str:
    printed = (GOLDEN / f"{SCREENS[typed]}.txt").read_text()
    return f"```console\n$ kubectl olive {typed}\n{printed}```"


def test_every_command_is_in_the_table() -> None:
    table = PAGE.read_text().partition("| command |")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z]+)\b", table)) == {*COMMANDS, COMPLETION}


def test_what_may_become_of_a_stage() -> None:
    table = PAGE.read_text().partition("| would be |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.M) != []
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.M)) == {fate.value for fate in Fate}


def test_every_exit_code() -> None:
    table = PAGE.read_text().partition("## Exit codes")[2]
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, CliError)]
    codes = {0, *(k.code for k in kinds), errors.INTERRUPTED, errors.CLOSED, errors.DEFECT}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)} == codes


@pytest.mark.parametrize("word", ["/model", "/new"])
def test_the_words_of_a_conversation(word: str) -> None:
    assert word in HELP
    assert word in PAGE.read_text()
