"""A namespace of the cluster with a node."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"


@dataclass(frozen=True)
class Namespace:
    """A namespace, by way of kubectl, and the image that its pods run."""

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
