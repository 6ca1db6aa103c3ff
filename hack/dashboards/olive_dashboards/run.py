"""The run that is recorded: a job on the cluster of `make demo`, from its apply to its answers."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from olive_dashboards.record import record
from olive_dashboards.written import ROOT

_MANIFEST: Final = ROOT / "hack/dashboards/run.yaml"
_JOB: Final = ("recorded", "-n", "demo")
_PRODUCT: Final = "NVIDIA-A10"
_EVERY: Final = 3.0
_QUESTIONS: Final = 20
_NOT_SERVED: Final = "nothing"


def run(to: Path) -> None:
    """Record it; the node says meanwhile that it has a GPU."""
    kubectl = Path(_hack("tool", "kubectl"))
    path = f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}"
    os.environ |= {"KUBECONFIG": _hack("kubeconfig"), "PATH": path}
    to.parent.mkdir(parents=True, exist_ok=True)
    ends = threading.Event()
    told = (to, str(kubectl), "olive-system", _EVERY, ends)
    recorder = threading.Thread(target=record, args=told)
    recorder.start()
    try:
        _hack("gpu", "1", "--product", _PRODUCT)
        _call(str(kubectl), "apply", "-n", "demo", "-f", str(_MANIFEST))
        _olive("watch", *_JOB)
        for number in range(_QUESTIONS):
            model = ("travel", "food", "base")[number % 3]
            _olive("ask", *_JOB, "--model", model, f"What should I do on day {number}?")
        _olive("ask", *_JOB, "--model", _NOT_SERVED, "Who are you?", check=False)
        ends.wait(5 * _EVERY)  # what came last is to be scraped
    finally:
        ends.set()
        recorder.join()
        _hack("gpu", "0")


def _olive(*arguments: str, check: bool = True) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    command = [sys.executable, "-m", "olive_cli", *arguments]
    subprocess.run(command, check=check, env=environment)


def _hack(*arguments: str) -> str:
    """The last line of what hack/cluster says."""
    said = _call(sys.executable, str(ROOT / "hack/cluster"), *arguments)
    return (said.splitlines() or [""])[-1]


def _call(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
