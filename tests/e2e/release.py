"""The operator's release on the real cluster, as helm sees it."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import hack

NAME, NAMESPACE = "olive-operator", "olive-system"
WAIT = ("--wait", "--timeout", "3m")


@dataclass(frozen=True)
class Release:
    """The one that the demo has installed."""

    helm: str
    kubeconfig: Path

    @staticmethod
    def at(kubeconfig: Path) -> "Release":
        return Release(hack("cluster", "tool", "helm"), kubeconfig)

    def values(self) -> dict[str, Any]:
        """What was set, over the chart's defaults."""
        found: dict[str, Any] = json.loads(self._run("get", "values", "--output=json"))
        return found

    def install(self, chart: Path, values: Path) -> None:
        self._run("install", str(chart), f"--values={values}", *WAIT)

    def upgrade(self, chart: Path, *arguments: str) -> None:
        """As the chart's README has it."""
        self._run("upgrade", str(chart), "--reset-then-reuse-values", *arguments, *WAIT)

    def put(self, chart: Path, values: Path) -> None:
        """Whatever is there."""
        self._run("upgrade", str(chart), "--install", f"--values={values}", *WAIT)

    def rollback(self, revision: int) -> None:
        self._run("rollback", str(revision), *WAIT)

    def uninstall(self) -> None:
        self._run("uninstall", *WAIT)

    def test(self) -> str:
        """What the pod of `helm test` says; it must end well."""
        return self._run("test", "--logs", "--timeout=3m")

    def _run(self, command: str, *arguments: str) -> str:
        verb = ["get", arguments[0]] if command == "get" else [command]
        rest = arguments[1:] if command == "get" else arguments
        where = [f"--kubeconfig={self.kubeconfig}", f"--namespace={NAMESPACE}"]
        done = subprocess.run(
            [self.helm, *where, *verb, NAME, *rest], capture_output=True, text=True
        )
        assert done.returncode == 0, f"helm {command}: {done.stdout}{done.stderr}"
        return done.stdout
