"""The programs of hack/ as modules, and a cluster with a node for the tests marked `cluster`."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "hack" / "cluster"), str(ROOT / "hack" / "images")]


def hack(program: str, *arguments: str) -> str:
    """Run `python3 hack/<program>` and return the last line of its stdout."""
    command = [sys.executable, str(ROOT / "hack" / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (done.stdout.splitlines() or [""])[-1]


@dataclass(frozen=True)
class Namespace:
    """A namespace of the cluster, by way of kubectl."""

    command: tuple[str, ...]
    image: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [*self.command, *arguments], input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(items))

    def wait(self, what: str, condition: str) -> None:
        self.kubectl("wait", what, f"--for={condition}", "--timeout=120s")

    def get(self, what: str, path: str, *arguments: str) -> str:
        return self.kubectl("get", what, f"--output=jsonpath={{{path}}}", *arguments)


@pytest.fixture(scope="session")
def node() -> tuple[str, ...]:
    """kubectl at a cluster with a node, brought up unless it is up."""
    kubeconfig = hack("cluster", "up")
    return (hack("cluster", "tool", "kubectl"), f"--kubeconfig={kubeconfig}")


@pytest.fixture
def namespace(node: tuple[str, ...], request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace that enforces the restricted Pod Security Standard."""
    name = request.node.name.replace("_", "-").removeprefix("test-")[:50]
    image = hack("images", "load", "operator")
    made = Namespace((*node, f"--namespace={name}"), image)
    made.kubectl("create", "namespace", name)
    made.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield made
    made.kubectl("delete", "namespace", name, "--timeout=120s")


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition, for a minute at most."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it never came true"

    return wait
