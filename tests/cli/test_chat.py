"""A conversation: what is sent, what is shown, and how the model is chosen."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from olive_cli.cluster.conversation import Message
from olive_cli.commands import chat as chats
from olive_cli.commands.chat import Chat, chosen
from olive_cli.errors import AbsentError, CliError, RefusedError

from .api import Olive, namespace
from .files import hold
from .jobs import READY, body
from .standin import Asked, served
from .test_ask import chunks, job

TALK = ["Where to?", "", "/new", "And then?", "/model food", "/model french", "/help", "Why?"]


class Model:
    """Answers with how many messages it was given; ``refuses`` from so many on."""

    def __init__(self, refuses: int = 99) -> None:
        self.given: list[tuple[str, list[Message]]] = []
        self.refuses = refuses

    def __call__(self, model: str, messages: Sequence[Message]) -> Iterator[str]:
        self.given.append((model, list(messages)))
        if len(messages) >= self.refuses:
            raise RefusedError("the server refuses (400): too long")
        yield from (f"{model} was told ", f"{len(messages)}")


def talk(model: Model, lines: Sequence[str], system: str | None = None) -> str:
    said: list[str] = []
    Chat(["base", "travel", "food"], "travel", model, said.append, system).run(iter(lines))
    return "".join(said)


def test_a_conversation() -> None:
    model = Model()
    hold("chat.txt", talk(model, TALK).rstrip())
    assert [of for of, _ in model.given] == ["travel", "travel", "food"]


def test_all_that_was_said_is_told_again() -> None:
    model = Model()
    talk(model, ["one", "two"], system="Be short.")
    assert [m["content"] for m in model.given[1][1]] == [
        *("Be short.", "one", "travel was told 2", "two"),
    ]
    assert [m["role"] for m in model.given[1][1]] == ["system", "user", "assistant", "user"]


def test_what_is_refused_was_never_said() -> None:
    model = Model(refuses=3)
    shown = talk(model, ["one", "two", "/new", "three"])
    assert "(the server refuses (400): too long; what was said may be too long: /new" in shown
    assert [len(messages) for _, messages in model.given] == [1, 3, 1]


def test_an_answer_that_is_stopped_was_never_given() -> None:
    class Stopped(Model):
        def __call__(self, model: str, messages: Sequence[Message]) -> Iterator[str]:
            self.given.append((model, list(messages)))
            yield "In "
            if len(self.given) == 1:
                raise KeyboardInterrupt

    model = Stopped()
    assert "In  (stopped)\n" in talk(model, ["one", "two"])
    assert len(model.given[1][1]) == 1


@pytest.mark.parametrize(
    ("typed", "model"), [("", "travel"), ("2", "food"), ("base", "base"), ("food", "food")]
)
def test_the_model_is_chosen_by_name_or_number(
    typed: str, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: typed)
    assert chosen(["base", "travel", "food"], job("travel", "food")) == model
    assert capsys.readouterr().out.splitlines() == ["  0  base", "  1  travel", "  2  food"]


def test_a_choice_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "french")
    with pytest.raises(AbsentError, match="'french' is not served"):
        chosen(["base", "travel"], job("travel"))

    def closed(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", closed)
    with pytest.raises(CliError, match="no model was chosen"):
        chosen(["base", "travel"], job("travel"))


def test_what_is_piped_in_is_answered_without_a_prompt(
    olive: Olive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The whole way: the job, the port that kubectl forwards, and the API behind it."""
    found = body(condition=READY, serving={"replicas": 1, "adapters": [{"name": "t", "key": "k"}]})
    lines = iter(["Where to?", "And then?"])

    def typed(prompt: str) -> str:
        assert prompt == ""
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    def answer(asked: Asked) -> tuple[int, str, str]:
        assert asked.path == "/v1/chat/completions"
        return 200, "text/event-stream", chunks("In ", "Lisbon")

    with served(answer) as model:
        port = model.url.rpartition(":")[2]
        path = tmp_path / "kubectl"
        path.write_text(
            f'#!/bin/sh\necho "Forwarding from 127.0.0.1:{port} -> 8080"; exec sleep 60\n'
        )
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr("builtins.input", typed)
        ended = olive.asked(namespace(optimizationjobs=[found]), "chat", "travel")
        told = [json.dumps(asked.body["messages"]) for asked in model.asked]
    assert ended.code == 0
    assert ended.out.splitlines()[1:] == ["In Lisbon", "In Lisbon"]
    assert ["And then?" in text for text in told] == [False, True]
    assert "In Lisbon" in told[1]


def test_a_port_that_one_may_not_forward(
    olive: Olive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = body(condition=READY, serving={"replicas": 1, "adapters": []})
    path = tmp_path / "kubectl"
    why = 'Error from server (Forbidden): cannot create resource "pods/portforward"'
    path.write_text(f"#!/bin/sh\necho '{why}' >&2; exit 1\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    ended = olive.asked(namespace(optimizationjobs=[found]), "chat", "travel", "--model", "base")
    assert ended.code == 4
    assert (
        "you may not forward a port to service travel-serving: ask for the role edit" in ended.err
    )


def test_a_job_that_serves_nothing(olive: Olive) -> None:
    ended = olive.asked(namespace(optimizationjobs=[body(condition=READY)]), "chat", "travel")
    assert (ended.code, "serves nothing (spec.serve is left out)" in ended.err) == (1, True)


def test_the_input_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert list(chats.typed()) == []
