"""Asking: which model, the way there, and the answer as it streams."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from olive_cli.cluster.forward import forwarded
from olive_cli.commands.ask import Question, answer, model_for
from olive_cli.errors import CliError
from olive_cli.job import view

from .jobs import READY, body
from .standin import Asked, served


def job(*adapters: str, serving: bool = True) -> view.Job:
    found = {"replicas": 1, "adapters": [{"name": n, "key": "k"} for n in adapters]}
    return view.job(body(condition=READY, serving=found if serving else None))


@pytest.mark.parametrize(
    ("adapters", "wanted", "model"),
    [
        (["travel"], None, "travel"),
        ([], None, "base"),
        (["travel", "food"], None, "base"),
        (["travel", "food"], "food", "food"),
        (["travel"], "base", "base"),
    ],
)
def test_which_model_is_asked(adapters: list[str], wanted: str | None, model: str) -> None:
    assert model_for(job(*adapters), wanted) == model


def test_a_model_that_is_not_served() -> None:
    with pytest.raises(CliError, match="'french' is not served; served are base, travel"):
        model_for(job("travel"), "french")


def test_a_job_that_serves_nothing() -> None:
    with pytest.raises(CliError, match=r"ml/travel serves nothing \(spec.serve is left out\)"):
        model_for(job(serving=False), None)


def chunks(*pieces: str) -> str:
    said: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": p}}]} for p in pieces
    ]
    said.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    said.append({"choices": [], "usage": {"total_tokens": 3}})
    return "".join(f"data: {json.dumps(c)}\n\n" for c in said) + "data: [DONE]\n\n"


def test_the_answer_comes_in_pieces() -> None:
    with served(lambda _: (200, "text/event-stream", chunks("In ", "Lisbon"))) as server:
        question = Question("Where to?", system="Be short.", max_tokens=9)
        assert list(answer(f"{server.url}/v1", "travel", question)) == ["In ", "Lisbon"]
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "travel",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Where to?"},
        ],
        "max_tokens": 9,
        "temperature": 0.0,
        "stream": True,
    }


def test_a_server_that_refuses() -> None:
    refusal = json.dumps({"error": {"message": "the prompt is too long", "type": "invalid"}})

    def refuse(_: Asked) -> tuple[int, str, str]:
        return 400, "application/json", refusal

    with served(refuse) as server, pytest.raises(CliError, match=r"refuses \(400\).*too long"):
        list(answer(f"{server.url}/v1", "base", Question("?")))


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with served(lambda _: (200, "text/event-stream", chunks("Lisbon"))) as server:
        assert list(answer(f"{server.url}/v1", "base", Question("?"))) == ["Lisbon"]


def test_the_key_is_sent_and_asked_for() -> None:
    refusal = json.dumps({"error": {"message": "Give a valid API key", "type": "invalid"}})

    def who(asked: Asked) -> tuple[int, str, str]:
        if asked.key == "Bearer k1":
            return 200, "text/event-stream", chunks("Lisbon")
        return 401, "application/json", refusal

    with served(who) as server:
        question = Question("?", api_key="k1")
        assert list(answer(f"{server.url}/v1", "base", question)) == ["Lisbon"]
        with pytest.raises(CliError, match=r"one of spec.serve.apiKeys; set OLIVE_API_KEY"):
            list(answer(f"{server.url}/v1", "base", Question("?")))


def kubectl(folder: Path, script: str) -> list[str]:
    path = folder / "kubectl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return [str(path)]


def test_the_way_is_open_and_closed_again(tmp_path: Path) -> None:
    script = (
        f'echo "$@" > {tmp_path}/arguments; echo $$ > {tmp_path}/pid\n'
        'echo "Forwarding from 127.0.0.1:4711 -> 8080"; exec sleep 60'
    )
    with forwarded(kubectl(tmp_path, script), "ml", "travel-serving") as url:
        assert url == "http://127.0.0.1:4711"
        pid = int((tmp_path / "pid").read_text())
        assert os.getpgid(pid) != os.getpgrp(), "Ctrl-C, which stops an answer, would end it"
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:3] == ["port-forward", "-n", "ml"]
    assert arguments[3:] == ["service/travel-serving", ":80", "--address=127.0.0.1"]
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_way_that_does_not_open_says_why(tmp_path: Path) -> None:
    script = "echo 'error: services \"travel-serving\" not found' >&2; exit 1"
    with (
        pytest.raises(CliError, match=r'travel-serving cannot.*"travel-serving" not found'),
        forwarded(kubectl(tmp_path, script), "ml", "travel-serving"),
    ):
        pass


def test_without_kubectl(tmp_path: Path) -> None:
    with (
        pytest.raises(CliError, match="kubectl is not on the PATH"),
        forwarded([str(tmp_path / "kubectl")], "ml", "travel-serving"),
    ):
        pass
