"""What is shown of a status."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from rich.console import Console

from olive_cli.commands.watch import show
from olive_cli.job import view, words
from olive_cli.job.lines import changes
from olive_cli.job.table import table

from .files import GOLDEN, hold

NOW = datetime(2026, 11, 21, 4, 0, 30, tzinfo=UTC)


def job(status: dict[str, Any]) -> view.Job:
    return view.job(
        {"metadata": {"name": "travel", "namespace": "ml", "generation": 3}, "status": status}
    )


def drawn(found: view.Job, width: int = 152) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table(found, 75, NOW, width))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


STATES = [
    *("running", "ready", "published", "failed", "held-back", "waiting", "suspended", "silent"),
]


@pytest.mark.parametrize("name", STATES)
def test_the_table_and_the_last_word(name: str) -> None:
    found = job(yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()))
    hold(f"{name}.txt", f"{drawn(found)}\n\n{words.outcome(found)}".rstrip())


def test_the_table_on_a_narrow_terminal() -> None:
    found = job(yaml.safe_load((GOLDEN / "running.yaml").read_text()))
    hold("running-narrow.txt", drawn(found, width=80))


@pytest.mark.parametrize("name", ["story", "story-suspended"])
def test_one_line_per_transition(name: str) -> None:
    told: list[str] = []
    before = None
    for status in yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()):
        after = job(status)
        told += changes(before, after)
        assert not list(changes(after, after)), "the same status again tells nothing"
        before = after
    hold(f"{name}.txt", "\n".join(told))


def test_a_job_that_the_operator_has_not_seen_yet() -> None:
    found = view.job({"metadata": {"name": "travel", "namespace": "ml", "generation": 1}})
    assert found.verdict is None
    assert "travel in ml   new" in drawn(found)
    assert list(changes(None, found)) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (42.9, "00:42"), (600, "10:00"), (3661, "1:01:01")]
)
def test_the_clock(seconds: float, text: str) -> None:
    assert words.clock(seconds) == text


@pytest.mark.parametrize("name", ["running", "failed"])
def test_a_terminal_too_narrow_for_a_table_has_a_line_for_each_stage(name: str) -> None:
    found = job(yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()))
    hold(f"{name}-lines.txt", drawn(found, width=60))


def test_a_terminal_that_cannot_move_its_cursor_is_told_as_a_log_is() -> None:
    found = job(yaml.safe_load((GOLDEN / "running.yaml").read_text()))
    out = io.StringIO()
    dumb = Console(file=out, force_terminal=True, color_system=None, _environ={"TERM": "dumb"})
    show(iter([found, found]), dumb)
    assert out.getvalue().splitlines() == [f"00:00 {line}" for line in changes(None, found)]
