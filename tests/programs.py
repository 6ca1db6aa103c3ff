"""The programs of hack/, as tests run them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def hack(program: str, *arguments: str) -> str:
    """Run `python3 hack/<program>`; the last line of its stdout."""
    done = _run(program, *arguments)
    assert done.returncode == 0, done.stderr
    return (done.stdout.splitlines() or [""])[-1]


@contextmanager
def one_node() -> Iterator[Path]:
    """The kubeconfig of a cluster with a node, taken down afterwards unless it was up before."""
    was_up = _run("cluster", "kubeconfig").returncode == 0
    try:
        yield Path(hack("cluster", "up"))
    finally:
        if not was_up:
            hack("cluster", "down")


def _run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "hack" / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True)
