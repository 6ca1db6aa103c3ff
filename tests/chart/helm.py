"""The real helm, and the chart as it renders it."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from programs import ROOT, hack

Manifest = dict[str, Any]

OPTIONAL = ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards")
WITH_OPTIONS = [word for part in OPTIONAL for word in ("--set", f"metrics.{part}.enabled=true")]
"""What a cluster may have no use for."""

CHART = ROOT / "charts" / "olive-operator"
HERE = Path(__file__).resolve().parent
KUBE_VERSION = "1.35.4"
"""helm's own idea of the cluster where there is none; the chart asks for a recent one."""


def find() -> str:
    """The helm of $HELM, of PATH, or else the one that hack/cluster builds."""
    if found := os.environ.get("HELM") or shutil.which("helm"):
        return found
    return hack("cluster", "tool", "helm")


@dataclass(frozen=True)
class Helm:
    """helm, and what the tests ask of it."""

    program: str

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command; its error text is shown when it fails and should not."""
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def text(self, *arguments: str, chart: Path = CHART, kube: str = KUBE_VERSION) -> str:
        """The chart rendered as release "olive" into namespace "olive-system"."""
        command = ["template", "olive", str(chart), "--namespace", "olive-system"]
        return self.run(*command, "--kube-version", kube, *arguments).stdout

    def manifests(
        self, *arguments: str, chart: Path = CHART, kube: str = KUBE_VERSION
    ) -> list[Manifest]:
        """The objects that are rendered, but those of `helm test`."""
        text = self.text("--skip-tests", *arguments, chart=chart, kube=kube)
        return _parsed(text)

    def tests(self, *arguments: str, kube: str = KUBE_VERSION) -> list[Manifest]:
        """The objects that `helm test` makes."""
        rendered = _parsed(self.text(*arguments, kube=kube))
        return [m for m in rendered if "helm.sh/hook" in m["metadata"].get("annotations", {})]

    def refusal(self, *arguments: str) -> str:
        """What helm says of values that it does not take."""
        command = ["template", "olive", str(CHART), "--kube-version", KUBE_VERSION]
        done = self.run(*command, *arguments, check=False)
        assert done.returncode != 0, "helm took the values"
        return done.stderr


def _parsed(text: str) -> list[Manifest]:
    return [m for m in yaml.load_all(text, yaml.CSafeLoader) if m]


def values(name: str) -> list[str]:
    """The arguments that give a file of values/ to helm."""
    return ["--values", str(HERE / "values" / f"{name}.yaml")]


def of_kind(manifests: list[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    (found,) = [m for m in manifests if m["kind"] == kind]
    return found
