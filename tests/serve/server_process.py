"""The server as a pod runs it: a process, a store, and serving.json in a mounted ConfigMap."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import tiny_model
from prometheus_client.parser import text_string_to_metric_families

from olive_contract.artifact import Artifact, describe
from olive_contract.serving import ServedAdapter, Serving
from olive_contract.store import Store

LONG = 400_000
"""Tokens of an answer that outlasts any test."""


class ConfigMapMount:
    """A folder that changes as the kubelet changes it: a link swapped to a new folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "serving.json"
        self._version = 0

    def write(self, text: str) -> None:
        self._version += 1
        data = self.folder / f"..{self._version}"
        data.mkdir(parents=True)
        (data / "serving.json").write_text(text)
        link = self.folder / "..new"
        link.symlink_to(data.name)
        link.rename(self.folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/serving.json")


class ServedJob:
    """A job's store and its serving.json."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store")
        self.store.root.mkdir(parents=True)
        self.mount = ConfigMapMount(folder / "etc")
        self.base = tiny_model.export(self.store)
        self.keys: dict[str, str] = {}

    def adapter(self, word: str) -> str:
        """The key of an adapter that spells this word."""
        return self.keys.setdefault(word, tiny_model.adapter(self.store, self.base, word))

    def commit_as_export(self, folder: Path, key: str) -> None:
        """Make a folder an export's artifact, whatever it holds."""
        self.store.commit(folder, Artifact(key, "export", {}, {}, describe(folder)))

    def serve(self, **words_or_keys: str) -> None:
        """Name the adapters to serve, each by its word or by a key."""
        adapters = tuple(
            ServedAdapter(name, value if len(value) == 64 else self.adapter(value))
            for name, value in words_or_keys.items()
        )
        self.mount.write(Serving("ml/alphabet", self.base, adapters).to_json())


class ServerProcess:
    """A server, started; ``openai`` is a client that does not try again by itself."""

    def __init__(self, job: ServedJob, *flags: str) -> None:
        port, health_port = free_ports(2)
        self.job = job
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "olive_serve", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--health-port", str(health_port)]
        command += ["--store", str(job.store.root), "--threads", "1"]
        command += ["--serving", str(job.mount.file), "--retry", "1", *flags]
        paths = os.pathsep.join(p for p in sys.path if p)
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.health_url = f"http://127.0.0.1:{health_port}"
        self.health = httpx.Client(base_url=self.health_url, timeout=60, trust_env=False)
        self.openai = openai.OpenAI(
            base_url=f"{self.url}/v1",
            api_key="none",
            max_retries=0,
            timeout=60,
            http_client=openai.DefaultHttpxClient(trust_env=False),
        )
        until(self.answers)

    def answers(self) -> bool:
        try:
            return self.health.get("/healthz").status_code == 200
        except httpx.TransportError:
            assert self.process.poll() is None, "the server ended"
            return False

    def ready(self) -> bool:
        return self.health.get("/readyz").status_code == 200

    def adapter(self, name: str) -> dict[str, Any]:
        """What the server says of an adapter; empty if it does not know it."""
        data = self.health.get("/v1/olive/adapters").json()["data"]
        return next((a for a in data if a["name"] == name), {})

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name with these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.http.get("/metrics").text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def complete(self, model: str, prompt: str = "-", **options: Any) -> str:
        """The text that the model continues the prompt with."""
        options = {"temperature": 0, "max_tokens": 16, **options}
        answer = self.openai.completions.create(model=model, prompt=prompt, **options)
        text: str = answer.choices[0].text
        return text

    def long_stream(self, model: str = "base", prompt: str = "a") -> Any:
        """A stream that will not end by itself; its first piece has arrived."""
        stream = self.openai.completions.create(
            model=model, prompt=prompt, max_tokens=LONG, temperature=0, stream=True
        )
        next(iter(stream))
        return stream

    def engine_pid(self) -> int:
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, different ones."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for a condition; the limit is there to fail, not to measure."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} did not come true"
        time.sleep(0.02)
