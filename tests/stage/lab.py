"""A place to run stages in: a store, sources beside it, and stage inputs by a few words."""

import json
import os
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from olive_contract.artifact import Artifact
from olive_contract.keys import artifact_key
from olive_contract.params import body_of, params_of
from olive_contract.stage import Report, StageInput
from olive_contract.store import Store

REPOSITORY = Path(__file__).parents[2]
STAGE = REPOSITORY / "images" / "stage"
EXAMPLE = REPOSITORY / "examples" / "travel-tiny"
TEMPLATE = "<|user|>\n{prompt}<|end|>\n<|assistant|>\n{response}<|end|>"
SPLIT = 0.1
RTN = {"algorithm": "rtn", "precision": "int4", "groupSize": 32}
GPTQ = {
    **RTN,
    "algorithm": "gptq",
    "calibration": {"template": TEMPLATE, "samples": 32, "maxLength": 64},
}
EXPORT = {"device": "cpu", "provider": "CPUExecutionProvider", "precision": "int4"}
EXPORT |= {"head": "int8", "activations": "int8"}
EVALUATE = {"template": TEMPLATE, "evalSplit": SPLIT, "seed": 0, "maxLength": 64, "samples": 32}


def finetune(**lora: Any) -> dict[str, Any]:
    """Parameters of a fine-tuning that learns the example in seconds, with changes."""
    usual = {
        "rank": 8,
        "alpha": 16,
        "maxSteps": 120,
        "batchSize": 8,
        "learningRate": 5e-3,
        "maxLength": 64,
        "seed": 0,
    }
    return {"template": TEMPLATE, "evalSplit": SPLIT, "lora": {**usual, **lora}}


@dataclass
class Lab:
    """``root`` holds the store and the claims; stages run in this process unless told otherwise."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sources.mkdir(parents=True, exist_ok=True)
        (self.root / "store").mkdir(exist_ok=True)

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    def claim(self, path: str, content: bytes | str) -> str:
        """A file on the claim ``team``; its folder's or its own source text."""
        file = self.sources / "team" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"pvc://team/{path}"

    def input(self, kind: str, params: dict[str, Any], **inputs: str) -> StageInput:
        body = body_of(params_of(kind, params))
        key = "" if kind == "fetch" else artifact_key(kind, body, inputs)
        return StageInput(kind, kind, body, inputs, key, str(self.store.root))

    def run(self, kind: str, params: dict[str, Any], **inputs: str) -> Report:
        """The stage's report, run in this process."""
        from olive_stage.run import run

        return run(self.input(kind, params, **inputs), deque(["the log's last line"]))

    def make(self, kind: str, params: dict[str, Any], **inputs: str) -> str:
        """The key of what the stage made; an AssertionError with its message if it did not."""
        report = self.run(kind, params, **inputs)
        assert report.outcome == "Succeeded", report
        return report.key

    def start(self, stage: StageInput | str, *prefix: str) -> "subprocess.Popen[str]":
        """The stage as a process of its own, as in a pod; ``prefix`` is a command to run it by."""
        text = stage if isinstance(stage, str) else stage.to_json()
        return self.pod(*prefix, sys.executable, "-m", "olive_stage", text)

    def pod(self, *command: str) -> "subprocess.Popen[str]":
        """A process as in a stage's pod."""
        return subprocess.Popen(
            command,
            cwd=STAGE,
            env={
                **os.environ,
                "PYTHONPATH": f"{STAGE}:{REPOSITORY / 'operator'}",
                "PYTHONUNBUFFERED": "1",
                "OLIVE_REPORT_PATH": str(self.root / "report"),
                "OLIVE_SOURCES": str(self.sources),
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process: "subprocess.Popen[str]") -> tuple[int, Report, str]:
        """Exit code, report and log of a started stage."""
        log, _ = process.communicate(timeout=120)
        return process.returncode, self.report(), log

    def report(self) -> Report:
        return Report.from_json((self.root / "report").read_text())

    def artifact(self, key: str) -> Artifact:
        return self.store.open(key)

    def read(self, key: str, file: str) -> Any:
        return json.loads((self.store.path(key) / file).read_text())

    def leftovers(self) -> list[str]:
        """What lies half-made in the store."""
        return [p.name for p in (self.store.root / ".building").glob("*")]


def on_small_disk(store: Path, size: str) -> list[str]:
    """A command prefix by which the store is a file system of this size; a skip if it cannot be."""
    script = f'mount -t tmpfs -o size={size} tmpfs "{store}" && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount namespaces")
    return prefix


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Until the path is there; an AssertionError if the process ends or a minute passes first."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
