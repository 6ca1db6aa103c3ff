"""The chart ships the CRDs of crds/ as they are, keeps them, and can leave them out."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml
from programs import ROOT

from .helm import CHART, Helm, Manifest

SOURCES = sorted((ROOT / "crds").glob("*.yaml"))


def _crds(manifests: list[Manifest]) -> list[Manifest]:
    return [m for m in manifests if m["kind"] == "CustomResourceDefinition"]


@pytest.fixture(scope="module")
def package(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    helm.run("package", str(CHART), "--destination", str(folder))
    (archive,) = folder.glob("olive-operator-*.tgz")
    return archive


@pytest.mark.parametrize("shipped", ["folder", "package"])
def test_crds_are_those_of_the_repository(helm: Helm, package: Path, shipped: str) -> None:
    chart = CHART if shipped == "folder" else package
    rendered = {m["metadata"]["name"]: m["spec"] for m in _crds(helm.manifests(chart=chart))}
    sources = [yaml.safe_load(path.read_text()) for path in SOURCES]
    assert rendered == {m["metadata"]["name"]: m["spec"] for m in sources}


def test_package_holds_files_and_no_links(package: Path) -> None:
    with tarfile.open(package) as archive:
        names = {member.name for member in archive if member.isfile()}
        assert all(member.isfile() for member in archive)
    assert {f"olive-operator/files/crds/{path.name}" for path in SOURCES} <= names


def test_neither_helm_nor_argo_cd_deletes_crds_and_so_every_job(helm: Helm) -> None:
    for crd in _crds(helm.manifests()):
        assert crd["metadata"]["annotations"] == {
            "helm.sh/resource-policy": "keep",
            "argocd.argoproj.io/sync-options": "Prune=false",
        }


def test_crds_fit_into_what_a_client_side_apply_writes_down(helm: Helm) -> None:
    for crd in _crds(helm.manifests()):
        assert len(json.dumps(crd)) < 262144  # Kubernetes' limit of annotations


def test_crds_can_be_left_out(helm: Helm) -> None:
    assert _crds(helm.manifests("--set", "crds.install=false")) == []
