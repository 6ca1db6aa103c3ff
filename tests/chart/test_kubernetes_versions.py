"""What the chart renders is valid in every Kubernetes that it allows, by kubeconform."""

import subprocess
from pathlib import Path

import pytest
import yaml
from programs import hack

from . import kubernetes_schemas
from .helm import WITH_OPTIONS, Helm, Manifest, values
from .test_golden import CASES

CRDS = ("--set", "crds.install=true")


@pytest.fixture(scope="module")
def kubeconform() -> str:
    return hack("cluster", "tool", "kubeconform")


def _judged(
    kubeconform: str, folder: Path, version: str, manifests: list[Manifest]
) -> "subprocess.CompletedProcess[str]":
    schemas = folder / "schemas"
    kubernetes_schemas.write(schemas, version, manifests)
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    return subprocess.run(
        [kubeconform, "-strict", "-summary", "-schema-location", location, "-"],
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
    )


def test_there_are_schemas_of_every_version_since_the_oldest() -> None:
    assert kubernetes_schemas.supported()[:7] == [f"1.{minor}" for minor in range(30, 37)]


def test_the_kinds_of_others_are_among_what_is_held_against_schemas(helm: Helm) -> None:
    kinds = {m["kind"] for m in helm.manifests(*WITH_OPTIONS)}
    assert {"ServiceMonitor", "PodMonitor", "PrometheusRule"} <= kinds


@pytest.mark.parametrize("version", kubernetes_schemas.supported())
def test_every_object_is_valid_in(
    helm: Helm, kubeconform: str, tmp_path: Path, version: str
) -> None:
    rendered = [m for name in CASES for m in helm.manifests(*values(name), *CRDS, kube=version)]
    rendered += helm.tests(*values("everything"), kube=version)
    rendered += helm.manifests(*WITH_OPTIONS, kube=version)
    done = _judged(kubeconform, tmp_path, version, rendered)
    assert done.returncode == 0, done.stdout
    assert f"Valid: {len(rendered)}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


WRONG = {
    "a field that is none": ("Deployment", "spec", {"strategi": {}}, "'strategi' not allowed"),
    "a number in words": ("Deployment", "spec", {"replicas": "two"}, "want null or integer"),
    "a monitor's": ("ServiceMonitor", "spec", {"endpoint": []}, "'endpoint' not allowed"),
    "a field of metadata": ("Pod", "metadata", {"label": {}}, "'label' not allowed"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_kubeconform_finds(helm: Helm, kubeconform: str, tmp_path: Path, mistake: str) -> None:
    kind, part, change, said = WRONG[mistake]
    rendered = [*helm.manifests(*values("everything")), *helm.tests()]
    found = [m for m in rendered if m["kind"] == kind][:1]
    found[0][part].update(change)
    done = _judged(kubeconform, tmp_path, kubernetes_schemas.supported()[-1], found)
    assert done.returncode == 1
    assert said in done.stdout
