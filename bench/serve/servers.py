"""The servers that are compared, each a process on 127.0.0.1."""

import os
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO, cast

import httpx
from machine import ROOT

from serve.llama import llama_server

SERVE = ROOT / "images" / "serve"
SERVE_PYTHON = SERVE / ".venv" / "bin" / "python"
SLOTS = 8
"""Requests that each computes at a time."""
READY_S = 120.0


class Server(ABC):
    """A process that answers ``POST /v1/completions``."""

    @property
    def ready(self) -> str:
        """What answers 200 once the model is loaded."""
        return f"{self.url}/health"

    def __init__(self, command: Sequence[str], log: Path, **env: str) -> None:
        self.log: TextIO = log.open("w")
        self.process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=self.log, stderr=self.log
        )
        self.until_ready()

    @abstractmethod
    def body(self, prompt: str, adapter: int | None, tokens: int) -> dict[str, Any]:
        """A request for so many tokens, the likeliest ones, by this adapter or the base."""

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it is asked."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def until_ready(self) -> None:
        """Wait until the model is loaded."""
        end = monotonic() + READY_S
        while monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(self.ready, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            sleep(0.1)
        self.stop()
        sys.exit(f"{type(self).__name__} does not answer; see {self.log.name}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


class Ours(Server):
    """olive_serve on the store in ``folder``."""

    def __init__(self, folder: Path, threads: int, *flags: str) -> None:
        self._port, self._health_port = free_port(), free_port()
        super().__init__(
            [
                *(str(SERVE_PYTHON), "-m", "olive_serve", "--host", "127.0.0.1"),
                *("--port", str(self._port), "--health-port", str(self._health_port)),
                *("--threads", str(threads), "--max-running", str(SLOTS)),
                *("--store", str(folder / "store"), "--serving", str(folder / "serving.json")),
                *flags,
            ],
            folder / "ours.log",
            PYTHONPATH=f"{SERVE}:{ROOT / 'operator'}",
        )
        self._until_adapters()

    @property
    def port(self) -> int:
        return self._port

    @property
    def ready(self) -> str:
        return f"{self.probes}/readyz"

    @property
    def probes(self) -> str:
        """The address of the health port."""
        return f"http://127.0.0.1:{self._health_port}"

    def resident_bytes(self) -> int:
        """Memory of the server and its engine."""
        front = self.process.pid
        engine = Path(f"/proc/{front}/task/{front}/children").read_text().split()
        return sum(_resident(pid) for pid in (front, *map(int, engine)))

    def body(self, prompt: str, adapter: int | None, tokens: int) -> dict[str, Any]:
        model = "base" if adapter is None else f"a{adapter}"
        return {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0}

    def _until_adapters(self) -> None:
        end = monotonic() + READY_S
        while monotonic() < end:
            told = httpx.get(f"{self.probes}/v1/olive/adapters", trust_env=False).json()["data"]
            if all(adapter["state"] == "loaded" for adapter in told):
                return
            sleep(0.1)
        sys.exit(f"adapters are not loaded; see {self.log.name}")


class LlamaServer(Server):
    """llama-server with the same shapes in Q4_0, flash attention and a slot for each request."""

    def __init__(self, folder: Path, threads: int, adapters: int) -> None:
        self._port = free_port()
        self._adapters = range(adapters)
        files = folder / "llama"
        loras = ",".join(str(files / f"a{number}.gguf") for number in self._adapters)
        super().__init__(
            [
                *(str(llama_server()), "--host", "127.0.0.1", "--port", str(self._port)),
                *("--model", str(files / "base.gguf"), "--lora", loras),
                *("--lora-init-without-apply", "--no-webui", "--flash-attn", "on"),
                *("--threads", str(threads), "--threads-batch", str(threads)),
                *("--parallel", str(SLOTS), "--ctx-size", str(SLOTS * 2048)),
            ],
            folder / "llama.log",
        )

    @property
    def port(self) -> int:
        return self._port

    def body(self, prompt: str, adapter: int | None, tokens: int) -> dict[str, Any]:
        scales = [{"id": n, "scale": 1.0 if n == adapter else 0.0} for n in self._adapters]
        body = {"model": "base", "prompt": prompt, "max_tokens": tokens, "temperature": 0}
        return {**body, "lora": scales, "cache_prompt": False}


class GenaiLoop:
    """onnxruntime-genai in a process of its own, asked by lines: one request after the other."""

    def __init__(self, folder: Path, threads: int) -> None:
        loop = Path(__file__).with_name("genai_loop.py")
        self.process = subprocess.Popen(
            [str(SERVE_PYTHON), str(loop), str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._questions = cast(TextIO, self.process.stdin)
        self._answers = cast(TextIO, self.process.stdout)

    def ask(self, prompt: str, adapter: int | None, tokens: int) -> None:
        """Until the last token is there."""
        name = "base" if adapter is None else f"a{adapter}"
        self._questions.write(f"{name} {tokens} {prompt}\n")
        made = int(self._answers.readline())
        if made != tokens:
            raise RuntimeError(f"onnxruntime-genai made {made} tokens instead of {tokens}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no memory")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
