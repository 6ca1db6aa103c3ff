"""The command line: what is wrong with it is told, and what a command needs reaches it."""

import pytest

from olive_cli.__main__ import main
from olive_cli.argv.parser import COMMANDS, parser

from .files import hold


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "required: COMMAND"),
        (["watch"], "required: NAME"),
        (["look", "travel"], "invalid choice: 'look'"),
        (["logs", "travel"], "required: STAGE"),
        (["diff"], "required: -f/--filename"),
        (["completion", "fish"], "invalid choice: 'fish'"),
        (["ask", "travel"], "required: QUESTION"),
        (["watch", ""], "NAME: '' is not a name"),
        (["status", ""], "NAME: '' is not a name"),
        (["retry", "."], "NAME: '.' is not a name"),
        (["why", "travel", "-n", ".."], "--namespace: '..' is not a name"),
        (["ask", "--", "-f", "Where?"], "NAME: '-f' is not a name"),
        (["artifacts", "--of", ""], "--of: '' is not a name"),
        (["gc", "--claim", ""], "--claim: '' is not a name"),
        (["watch", "travel", "--timeout", "0"], "'0' is not a whole number"),
        (["ask", "travel", "Where?", "--max-tokens", "0"], "'0' is not a whole number"),
        (["ask", "travel", "Where?", "--temperature", "3"], "'3' is not a number"),
        (
            ["ask", "travel", "Where?", "--temperature", "hot"],
            "'hot' is not a number",
        ),
    ],
)
def test_a_wrong_command_line(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", *COMMANDS, "completion"])
def test_help(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    hold(f"help{'-' if command else ''}{command}.txt", capsys.readouterr().out.rstrip())


def test_defaults() -> None:
    asked = parser().parse_args(["ask", "travel", "Where?"])
    assert (asked.model, asked.temperature, asked.max_tokens) == (None, 0.0, 128)
    assert parser().parse_args(["watch", "travel"]).timeout is None


def test_a_namespace_that_is_empty_is_the_contexts_as_for_kubectl() -> None:
    assert not parser().parse_args(["status", "-n", ""]).namespace
