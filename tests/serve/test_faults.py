"""What clients and probes see when something is missing, dies, hangs, is full, or stops."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from conftest import Start
from server_process import LONG, ServedJob, until

from olive_contract.serving import Serving


def test_it_is_alive_but_not_ready_until_the_file_and_the_model_are_there(
    job: ServedJob, start: Start
) -> None:
    server = start(wait=False)
    assert "serving.json" in server.health.get("/readyz").json()["problem"]
    assert server.health.get("/healthz").status_code == 200
    answer = server.http.post("/v1/completions", json={"model": "base", "prompt": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"]["code"] == "engine_unavailable"
    job.serve(travel="Rome!")
    until(server.ready)
    assert server.complete("travel") == "Rome!"


def test_a_model_that_is_not_on_the_volume_is_told_and_awaited(
    job: ServedJob, start: Start, tmp_path: Path
) -> None:
    job.serve()
    folder = job.store.path(job.base)
    folder.rename(tmp_path / "aside")
    server = start(wait=False)
    until(lambda: "not on the volume" in server.health.get("/readyz").json()["problem"])
    assert server.health.get("/healthz").status_code == 200
    (tmp_path / "aside").rename(folder)
    until(server.ready)


def test_a_model_that_never_loads_fails_the_liveness_probe_in_the_end(
    job: ServedJob, start: Start
) -> None:
    key = "1" * 64
    with job.store.building(key) as folder:
        (folder / "genai_config.json").write_text('{"model": {}}')
        job.commit_as_export(folder, key)
    job.mount.write(Serving("ml/broken", key).to_json())
    server = start(wait=False)
    until(lambda: server.health.get("/healthz").status_code == 503)
    assert "does not load" in server.health.get("/readyz").json()["problem"]


def test_when_the_engine_dies_requests_fail_clearly_and_another_takes_over(
    job: ServedJob, start: Start
) -> None:
    job.serve(travel="Rome!")
    server = start()
    whole = {"model": "base", "prompt": "a", "max_tokens": LONG}
    with ThreadPoolExecutor(1) as pool, server.long_stream() as stream:
        waiting = pool.submit(server.http.post, "/v1/completions", json=whole)
        until(lambda: server.metric("vllm:num_requests_running") == 2)
        os.kill(server.engine_pid(), signal.SIGKILL)
        with pytest.raises(openai.APIError, match="killed by signal 9"):
            list(stream)
        assert waiting.result().status_code == 503
        assert "killed by signal 9" in waiting.result().json()["error"]["message"]
    until(server.ready)
    assert server.complete("travel") == "Rome!"
    assert server.metric("olive_serve_engine_restarts_total") == 1
    assert server.health.get("/healthz").status_code == 200


def test_readiness_falls_while_there_is_no_engine(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start()
    model = job.store.path(job.base)
    model.rename(model.with_suffix(".aside"))
    os.kill(server.engine_pid(), signal.SIGKILL)
    until(lambda: not server.ready())
    with pytest.raises(openai.InternalServerError) as error:
        server.complete("base")
    assert error.value.status_code == 503
    model.with_suffix(".aside").rename(model)
    until(server.ready)


def test_an_engine_that_hangs_is_replaced(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start("--engine-timeout", "3")
    hung = server.engine_pid()
    with server.long_stream() as stream:
        os.kill(hung, signal.SIGSTOP)
        with pytest.raises(openai.APIError, match="killed by signal 9"):
            list(stream)
    until(server.ready)
    assert server.engine_pid() != hung


@pytest.mark.parametrize("stream", [True, False], ids=["streaming", "whole"])
def test_a_client_that_leaves_frees_the_engine(job: ServedJob, start: Start, stream: bool) -> None:
    job.serve()
    server = start("--max-running", "1")
    body = {"model": "base", "prompt": "a", "max_tokens": LONG, "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        leave_after_a_moment(server.url, body)
    until(lambda: server.metric("vllm:num_requests_running") == 0)
    assert server.complete("base", "a") == "bcdefghijklmnopq"


def test_a_client_that_leaves_the_queue_is_forgotten(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start("--max-running", "1")
    with server.long_stream():
        with pytest.raises(httpx.ReadTimeout):
            leave_after_a_moment(server.url, {"model": "base", "prompt": "a"})
        until(lambda: server.metric("vllm:num_requests_waiting") == 0)


def leave_after_a_moment(url: str, body: dict[str, object]) -> None:
    with httpx.stream(
        "POST", f"{url}/v1/completions", json=body, timeout=httpx.Timeout(5, read=0.5),
        trust_env=False,
    ) as answer:  # fmt: skip
        answer.read() if not body.get("stream") else next(answer.iter_bytes())
        raise httpx.ReadTimeout("left")


def test_a_full_queue_is_429_with_retry_after(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start("--max-running", "1", "--max-waiting", "1")
    body = {"model": "base", "prompt": "a"}
    with ThreadPoolExecutor(1) as pool, server.long_stream() as stream:
        waiting = pool.submit(server.http.post, "/v1/completions", json=body)
        until(lambda: server.metric("vllm:num_requests_waiting") == 1)
        answer = server.http.post("/v1/completions", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["error"]["code"] == "engine_overloaded"
        stream.close()
        assert waiting.result().status_code == 200


def test_sigterm_lets_running_requests_end_and_exits_with_0(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start()
    with server.openai.completions.create(
        model="base", prompt="a", max_tokens=20_000, temperature=0, stream=True
    ) as stream:
        pieces = iter(stream)
        text = next(pieces).choices[0].text
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not accepts_connections(server.url))
        text += "".join(c.choices[0].text for c in pieces)
    assert len(text) == 20_000
    assert server.process.wait(60) == 0


def test_sigterm_ends_what_outlasts_the_grace_period(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start("--grace", "1")
    engine = server.engine_pid()
    with server.long_stream():
        assert server.stop() == 0
    assert not Path(f"/proc/{engine}").exists()


def test_the_engine_does_not_outlive_the_server(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start()
    engine = server.engine_pid()
    server.process.kill()
    server.process.wait()
    until(lambda: not Path(f"/proc/{engine}").exists())


def accepts_connections(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.ConnectError:
        return False
