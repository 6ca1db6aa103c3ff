"""The Application and the ApplicationSet of the example: what they apply, and in which order."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.helm import Helm, find
from programs import ROOT

from .verdicts import ARGOCD

WAVE = "argocd.argoproj.io/sync-wave"
OPTIONS = "argocd.argoproj.io/sync-options"
REGISTRY = 'index .metadata.annotations "olive-operator.io/registry"'
CLUSTER = {
    ".nameNormalized": "eu-1",
    ".server": "https://eu-1.example.com",
    ".values.revision": "v0.1.0",
    REGISTRY: "eu.registry.example.com",
    'index .metadata.annotations "olive-operator.io/storage-class"': "azurefile",
}


def application() -> dict[str, Any]:
    """The one for one cluster."""
    found: dict[str, Any] = yaml.safe_load((ARGOCD / "application.yaml").read_text())
    return found


def generated(cluster: Mapping[str, str] = CLUSTER) -> dict[str, Any]:
    """What the ApplicationSet makes for one cluster; a parameter that no cluster has fails."""
    text = (ARGOCD / "applicationset.yaml").read_text()
    filled = re.sub(r"\{\{(.+?)\}\}", lambda found: cluster[found[1]], text)
    template: dict[str, Any] = yaml.safe_load(filled)["spec"]["template"]
    return template


BOTH = pytest.mark.parametrize("made", [application, generated], ids=["one", "many"])


def rendered(made: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """All that the sources come to: the chart with its values, and the manifests of the jobs."""
    chart, jobs = made["spec"]["sources"]
    values = folder / "values.yaml"
    values.write_text(chart["helm"]["values"])
    arguments = ("--values", str(values))
    found = Helm(find()).manifests(*arguments, chart=ROOT / chart["path"])
    for path in sorted((ROOT / jobs["path"]).iterdir()):
        found += yaml.safe_load_all(path.read_text())
    return found


def wave(manifest: dict[str, Any]) -> int:
    return int(manifest["metadata"].get("annotations", {}).get(WAVE, "0"))


@BOTH
def test_namespace_then_operator_then_jobs(made: Any, tmp_path: Path) -> None:
    waves: dict[str, set[int]] = {}
    for manifest in rendered(made(), tmp_path):
        waves.setdefault(manifest["kind"], set()).add(wave(manifest))
    assert waves.pop("Namespace") == {-1}
    assert waves.pop("OptimizationJob") == waves.pop("PersistentVolumeClaim") == {1}
    assert {"CustomResourceDefinition", "Deployment"} <= waves.keys()
    assert set().union(*waves.values()) == {0}


@BOTH
def test_values_are_taken_by_the_chart(made: Any, tmp_path: Path) -> None:
    (deployed,) = [m for m in rendered(made(), tmp_path) if m["kind"] == "Deployment"]
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    assert re.match(r"(eu\.)?registry\.example\.com/", container["image"])


def test_cluster_that_names_no_registry_is_refused(tmp_path: Path) -> None:
    """`index` takes an annotation that is not there for empty, whatever missingkey says."""
    chart, _ = generated({**CLUSTER, REGISTRY: ""})["spec"]["sources"]
    values = tmp_path / "values.yaml"
    values.write_text(chart["helm"]["values"])
    said = Helm(find()).refusal("--values", str(values))
    assert "at '/images/operator': '/operator:0.1.0' does not match" in said


@BOTH
def test_what_holds_artifacts_is_kept_and_jobs_go(made: Any, tmp_path: Path) -> None:
    kept = {
        manifest["kind"]: options
        for manifest in rendered(made(), tmp_path)
        if (options := manifest["metadata"].get("annotations", {}).get(OPTIONS))
    }
    assert kept == {
        "Namespace": "Prune=false,Delete=false",
        "PersistentVolumeClaim": "Prune=false,Delete=false",
        "CustomResourceDefinition": "Prune=false",
    }


@BOTH
def test_changes_are_compared_and_applied_by_the_api_server(made: Any) -> None:
    found = made()
    compared = found["metadata"]["annotations"]["argocd.argoproj.io/compare-options"]
    assert compared == "ServerSideDiff=true"
    assert "ServerSideApply=true" in found["spec"]["syncPolicy"]["syncOptions"]
    assert "ignoreDifferences" not in found["spec"]


@BOTH
def test_job_in_git_neither_goes_by_itself_nor_names_suspend(made: Any, tmp_path: Path) -> None:
    jobs = [m for m in rendered(made(), tmp_path) if m["kind"] == "OptimizationJob"]
    assert jobs
    for job in jobs:
        assert not {"ttlAfterFinished", "suspend"} & job["spec"].keys()
