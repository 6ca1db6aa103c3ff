"""The command line: what is wrong with it is told, and what a command needs reaches it."""

import pytest

from olive_cli.__main__ import _parser, main

from .files import hold


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "required: COMMAND"),
        (["watch"], "required: NAME"),
        (["look", "travel"], "invalid choice: 'look'"),
        (["ask", "travel"], "required: QUESTION"),
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


@pytest.mark.parametrize("command", ["", "watch", "retry", "suspend", "resume", "ask"])
def test_help(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    hold(f"help{'-' if command else ''}{command}.txt", capsys.readouterr().out.rstrip())


def test_defaults() -> None:
    asked = _parser().parse_args(["ask", "travel", "Where?"])
    assert (asked.model, asked.temperature, asked.max_tokens) == (None, 0.0, 128)
    assert _parser().parse_args(["watch", "travel"]).timeout is None


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", "travel", "--kubeconfig", "/nowhere/kubeconfig"])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no cluster: ")
    assert error.count("\n") == 1
