"""This machine as a place for ``olive-operator run``: a store, a claim's folder, manifests."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "travel-tiny"
TEMPLATE = "<|user|>\n{prompt}<|end|>\n<|assistant|>\n{response}<|end|>"
LONG = 400
"""Steps of a training that is still going on when somebody stops it; a checkpoint every tenth."""


def adapter(name: str, data: str = "", **lora: Any) -> dict[str, Any]:
    """An adapter trained for a moment on one of the example's data sets."""
    usual = {"rank": 4, "alpha": 8, "maxSteps": 12, "learningRate": 5e-3, "maxLength": 64}
    source = f"pvc://tiny/data/{data or name}.jsonl"
    return {
        "name": name,
        "data": {"source": source, "template": TEMPLATE},
        "lora": {**usual, **lora},
    }


def spec(*adapters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The tiny model, quantized, with these adapters, on CPU."""
    usual = {
        "model": {"source": "pvc://tiny/model"},
        "quantize": {"groupSize": 32},
        "adapters": list(adapters or [adapter("travel")]),
        "evaluate": {"reference": False, "samples": 4},
        "gpu": {"count": 0},
    }
    return {k: v for k, v in {**usual, **changes}.items() if v is not None}


def heed_signals() -> None:
    """They may have been ignored by what started the tests (nohup, a shell's "&")."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass(frozen=True)
class Finished:
    """A run that has ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The last line, of a run with --json."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found

    def stage(self, name: str) -> dict[str, Any]:
        return next(s for s in self.summary["stages"] if s["name"] == name)

    def built(self) -> set[str]:
        """The stages for which a process was started."""
        return {s["name"] for s in self.summary["stages"] if s["attempts"]}


@dataclass(frozen=True)
class Here:
    """``root`` is for one test; ``claim`` is the folder that ``pvc://tiny/`` stands for."""

    root: Path
    claim: Path

    @property
    def store(self) -> Path:
        return self.root / "store"

    def manifest(self, what: dict[str, Any], name: str = "tiny") -> Path:
        body = {"apiVersion": "olive-operator.io/v1alpha1", "kind": "OptimizationJob"}
        path = self.root / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**body, "metadata": {"name": name}, "spec": what}))
        return path

    def command(self, what: dict[str, Any] | Path, *arguments: str) -> list[str]:
        path = what if isinstance(what, Path) else self.manifest(what)
        claims = ["--store", str(self.store), "--claim", f"tiny={self.claim}"]
        return [sys.executable, "-m", "olive_cli.run", "run", str(path), *claims, *arguments]

    def run(self, what: dict[str, Any] | Path, *arguments: str) -> Finished:
        """Carried out to its end."""
        process = self.begin(what, *arguments)
        out, err = process.communicate(timeout=300)
        return Finished(process.returncode, out, err)

    def begin(self, what: dict[str, Any] | Path, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(what, *arguments),
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "operator")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_signals,
        )

    @contextmanager
    def begun(
        self, what: dict[str, Any] | Path, *arguments: str
    ) -> Iterator["subprocess.Popen[str]"]:
        """Under way; asked to end when the test is done with it."""
        process = self.begin(what, *arguments)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)

    def logs(self) -> set[str]:
        """Names of the logs of every attempt so far."""
        return {path.name for path in (self.store / ".logs").glob("*.log")}

    def checkpoints(self) -> list[str]:
        """The whole checkpoints of trainings that are not done."""
        return [p.parent.name for p in self.store.glob(".scratch/*/checkpoints/*/whole")]

    def processes(self) -> list[int]:
        """Stages that work on this store."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"olive_stage" in words and str(self.store).encode() in b" ".join(words):
                found.append(int(path.parent.name))
        return found


def until(condition: Callable[[], Any], process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait for it; an AssertionError if the process ends or two minutes pass before."""
    deadline = time.monotonic() + 120
    while not condition():
        if process is not None:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
