"""Whatever is sent is answered, or refused in OpenAI's shape, and the engine lives on.

``FUZZ`` says how many requests are made up from the OpenAPI document (300; 10,000 at length).
"""

import json
import os
import socket
from typing import Any

import httpx
import pytest
import schemathesis
from conftest import Start
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from server_process import ServedJob, ServerProcess, until

from olive_serve.connection import HEAD_BYTES
from olive_serve.openapi import document

COUNT = int(os.environ.get("FUZZ", "300"))
CHAT: dict[str, Any] = {
    "model": "base",
    "max_tokens": 2,
    "messages": [{"role": "user", "content": "a"}],
}
TEXT: dict[str, Any] = {"model": "base", "prompt": "a", "max_tokens": 2}


def narrowed() -> dict[str, Any]:
    """The document, with models that exist and short answers: others get no further than 404."""
    made = document()
    for name in ("CompletionRequest", "ChatRequest"):
        properties = made["components"]["schemas"][name]["properties"]
        properties["model"] = {"type": "string", "enum": ["base", "travel", "unicode"]}
        properties["max_tokens"] = {"type": "integer", "minimum": 1, "maximum": 3}
    return made


def requests() -> st.SearchStrategy[schemathesis.Case]:
    """Good ones and bad ones of every operation."""
    schema = schemathesis.openapi.from_dict(narrowed())
    return st.one_of(
        operation.ok().as_strategy(generation_mode=mode)
        for operation in schema.get_all_operations()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    )


@pytest.fixture
def short(job: ServedJob, start: Start) -> ServerProcess:
    """A server with a context that is soon at its end: not every request says how much it wants."""
    job.serve(travel="Rome!", unicode="é🙂日!")
    return start("--max-model-len", "256")


@pytest.mark.timeout(COUNT)
@settings(
    max_examples=COUNT,
    deadline=None,
    derandomize="FUZZ" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(case=requests())
def test_what_the_document_allows_or_forbids_is_answered(
    short: ServerProcess, case: schemathesis.Case
) -> None:
    answer = case.call(base_url=short.url)
    checked(answer.status_code, answer.content)


def checked(status: int, content: bytes) -> None:
    """Served, or refused as OpenAI refuses."""
    assert status < 500, content
    if status >= 400:
        error = json.loads(content)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert error["code"]


def nested(depth: int) -> bytes:
    return b'{"model": "base", "prompt": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("completions", b"", 400, id="nothing"),
        pytest.param("completions", b"null", 400, id="null"),
        pytest.param("completions", b"\xff\xfe{}", 400, id="no UTF-8"),
        pytest.param("completions", b'{"model": "\xc3(", "prompt": "a"}', 400, id="broken UTF-8"),
        pytest.param("completions", b'{"model": "\\ud800", "prompt": ""}', 400, id="half a pair"),
        pytest.param("completions", nested(100_000), 400, id="deep"),
        pytest.param("completions", b"x" * (64 * 500_000 + 1), 413, id="32 MB"),
        pytest.param("completions", {**TEXT, "temperature": -1}, 400, id="temperature"),
        pytest.param("completions", {**TEXT, "temperature": float("nan")}, 400, id="NaN"),
        pytest.param("completions", {**TEXT, "top_p": float("inf")}, 400, id="infinite"),
        pytest.param("completions", {**TEXT, "max_tokens": -1}, 400, id="max_tokens"),
        pytest.param("completions", {**TEXT, "max_tokens": 10**30}, 400, id="max_tokens huge"),
        pytest.param("completions", {**TEXT, "seed": 10**40}, 400, id="seed huge"),
        pytest.param("completions", {**TEXT, "stop": ["x"] * 10_000}, 400, id="10,000 stops"),
        pytest.param("completions", {**TEXT, "stop": "x" * 1_000_000}, 400, id="a long stop"),
        pytest.param("completions", {**TEXT, "logit_bias": {"9999999": 1}}, 400, id="no token"),
        pytest.param("completions", {**TEXT, "prompt": "a" * 600_000}, 400, id="a long prompt"),
        pytest.param("completions", {**TEXT, "model": "é" * 300}, 400, id="a long name"),
        pytest.param("completions", {**TEXT, "model": "nobody"}, 404, id="no model"),
        pytest.param("chat/completions", {**CHAT, "messages": []}, 400, id="no messages"),
        pytest.param("nowhere", {}, 404, id="no path"),
    ],
)  # fmt: skip
def test_hand_made_bodies(server: ServerProcess, path: str, body: Any, status: int) -> None:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = server.http.post(f"/v1/{path}", content=sent)
    assert answer.status_code == status, answer.text
    checked(answer.status_code, answer.content)
    assert len(answer.content) < 2_000, "an error does not repeat what was sent"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01", 400, id="TLS"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", 400, id="no such HTTP"),
        pytest.param(b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * 2 * HEAD_BYTES, 431, id="headers"),
    ],
)
def test_what_is_no_http_is_refused(server: ServerProcess, said: bytes, status: int) -> None:
    with connected(server) as raw:
        raw.sendall(said)
        answer = until_closed(raw)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == str(status).encode()
    checked(status, body)


def test_clients_that_say_nothing_or_half_keep_nobody_waiting(server: ServerProcess) -> None:
    silent = [connected(server) for _ in range(200)]
    for number, raw in enumerate(silent):
        if number % 2:
            raw.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n")
    with connected(server) as half:
        half.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        half.shutdown(socket.SHUT_WR)
        assert server.complete("travel") == "Rome!"
        assert server.openai.models.list().data
    for raw in silent:
        raw.close()


def test_a_connection_without_a_request_is_closed_in_the_end(server: ServerProcess) -> None:
    with connected(server) as raw:
        raw.sendall(b"GET /v1/models HTTP/1.1\r\n")
        assert b"request_timeout" in until_closed(raw)


def test_a_client_that_reads_half_an_answer_holds_nothing(server: ServerProcess) -> None:
    body = json.dumps({**TEXT, "model": "endless", "max_tokens": 400_000, "stream": True}).encode()
    with connected(server) as raw:
        head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        raw.sendall(head.encode() + body)
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
    until(lambda: server.metric("vllm:num_requests_running") == 0)


def connected(server: ServerProcess) -> socket.socket:
    url = httpx.URL(server.url)
    return socket.create_connection((url.host, url.port or 80), timeout=30)


def until_closed(raw: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := raw.recv(1 << 16):
            answer += piece
    except ConnectionResetError:
        pass  # it has not read all that was sent
    return answer
