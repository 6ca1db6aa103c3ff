"""Texts of others on a person's terminal: shown, and not obeyed."""

import json

import pytest
from builders import World

from olive_cli.terminal.plain import one_line, plain
from olive_contract.failures import FailureClass

from .api import Olive, at, namespace
from .jobs import lived

HOSTILE = "[red]row[/] 3 :bug:\x1b]0;mine\x07 \x1b[2J"
SHOWN = "[red]row[/] 3 :bug:^[]0;mine^G ^[[2J"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 3 → 4\n\tbytes", "Größe 3 → 4\n\tbytes"),
        ("\x1b[31mred", "^[[31mred"),
        ("over\rwritten\x08\x7f", "over^Mwritten^H^?"),
        ("\x9b2J", "\\x9b2J"),
    ],
)
def test_what_a_terminal_obeys_is_shown(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_one_line() -> None:
    assert one_line("no \n such\tjob\x1b") == "no such job^["


@pytest.mark.parametrize("command", [["status"], ["why"], ["logs", "fetch/travel"]])
def test_a_message_of_a_stage(olive: Olive, command: list[str]) -> None:
    """It may quote a row of somebody's data."""
    world = World().settle()
    world.fail("fetch/travel", FailureClass.INVALID_INPUT, message=HOSTILE)
    body = lived(world)
    for stage in body["status"]["stages"]:
        stage.pop("pod", None)
    objects = namespace(optimizationjobs=[body])
    told = olive.asked(objects, command[0], "travel", *command[1:])
    assert SHOWN in " ".join(f"{told.out}{told.err}".split())


def test_a_log(olive: Olive) -> None:
    """A progress bar writes over itself; here each of its states is a line."""
    body = lived(World().settle().run("fetch/travel"))
    pod = next(s["pod"] for s in body["status"]["stages"] if s["name"] == "fetch/travel")
    objects = namespace(optimizationjobs=[body])
    said = {"progress": {"percent": 5, "message": HOSTILE}}
    log = f"{HOSTILE}\r\n 1%\r 2%\n{json.dumps(said)}\n"
    objects.texts[at("pods", pod, "log", base="/api/v1")] = (200, log)
    told = olive.asked(objects, "logs", "travel", "fetch/travel").out
    assert told.splitlines() == [SHOWN, " 1%", " 2%", f"  5%  {SHOWN}"]


def test_what_the_api_server_says(olive: Olive) -> None:
    why = json.dumps({"message": f"admission webhook denied it:\n{HOSTILE}"})
    objects = namespace()
    objects.texts[at("optimizationjobs", "travel")] = (403, why)
    ended = olive.asked(objects, "status", "travel")
    assert ended.err == (
        f"error: the API server refuses (403 Forbidden): admission webhook denied it: {SHOWN}"
    )
