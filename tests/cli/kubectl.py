"""A kubectl that does nothing but answer as it is told, and ``kubectl olive diff`` before it."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from builders import spec

from .api import Ended, Objects, Olive


class Kubectl:
    """A kubectl that answers a dry run with a job, and keeps how it was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.script("cat $0.answer")
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def script(self, what: str) -> None:
        path = self.folder / "kubectl"
        path.write_text(f'#!/bin/sh\necho "$@" > $0.arguments\ncat > $0.stdin\n{what}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def would_make(self, **sections: Any) -> None:
        """What applying would make of the job; the fake API server defaults as the real one."""
        body = {
            "apiVersion": "olive-operator.io/v1alpha1",
            "kind": "OptimizationJob",
            "metadata": {"name": "travel", "namespace": "ml"},
            "spec": spec(**sections),
        }
        (self.folder / "kubectl.answer").write_text(json.dumps(body))

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "kubectl.arguments").read_text().split()

    @property
    def stdin(self) -> str:
        return (self.folder / "kubectl.stdin").read_text()


MANIFEST = """\
apiVersion: olive-operator.io/v1alpha1
kind: OptimizationJob
metadata: {name: travel}
spec: {model: {source: pvc://models/tiny}, adapters: [{lora: {learningRate: 1e-4}}]}
"""


def diff(olive: Olive, objects: Objects, *more: str, text: str = MANIFEST) -> Ended:
    file = olive.folder / "travel.yaml"
    file.write_text(text)
    return olive.asked(objects, "diff", "-f", str(file), *more)
