"""The end of a run with --serve: the job's model and adapters behind HTTP, until Ctrl-C."""

import re
import signal
import socket
import subprocess

import httpx

from run.here import Here, free_port, spec


def read_until(process: "subprocess.Popen[str]", pattern: str) -> re.Match[str]:
    assert process.stdout
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(process.communicate())


def test_a_finished_job_is_served_until_ctrl_c(after: Here) -> None:
    with after.begun(spec(), "--serve", str(free_port())) as process:
        url = read_until(process, r"served at (\S+) until Ctrl-C")[1]
        with httpx.Client(base_url=url, timeout=60) as api:
            names = {model["id"] for model in api.get("/models").json()["data"]}
            question = [{"role": "user", "content": "Where should I go in Rome?"}]
            body = {"model": "travel", "messages": question, "max_tokens": 4}
            answer = api.post("/chat/completions", json=body).json()
        assert names == {"base", "travel"}
        assert answer["usage"]["completion_tokens"] > 0
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_a_port_that_is_taken_is_told_before_the_work(here: Here) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        told = here.run(spec(), "--serve", str(other.getsockname()[1]))
    assert told.code == 1
    assert "give --serve another" in told.err
    assert not here.store.exists()
