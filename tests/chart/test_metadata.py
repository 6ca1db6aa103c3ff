"""What Chart.yaml tells of the chart agrees with what is in it."""

from typing import Any

import pytest
import yaml
from programs import ROOT

from .helm import CHART, Helm, Manifest, of_kind
from .test_crds import SOURCES

CHART_FILE = yaml.safe_load((CHART / "Chart.yaml").read_text())


def _told(name: str) -> Any:
    return yaml.safe_load(CHART_FILE["annotations"][f"artifacthub.io/{name}"])


def _crds() -> list[Manifest]:
    return [yaml.safe_load(path.read_text()) for path in SOURCES]


def test_its_kinds_are_those_of_the_definitions() -> None:
    told = {(crd["name"], crd["kind"], crd["version"]) for crd in _told("crds")}
    assert told == {
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"], version["name"])
        for crd in _crds()
        for version in crd["spec"]["versions"]
    }


def test_its_images_are_those_that_run_by_default(helm: Helm) -> None:
    rendered = helm.manifests()
    config = yaml.safe_load(of_kind(rendered, "ConfigMap")["data"]["config.yaml"])
    (operator,) = of_kind(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert {image["name"]: image["image"] for image in _told("images")} == {
        "operator": operator["image"],
        **config["images"],
    }


@pytest.mark.parametrize("example", _told("crdsExamples"), ids=lambda job: job["metadata"]["name"])
def test_an_example_names_fields_that_there_are(example: Manifest) -> None:
    (crd,) = [crd for crd in _crds() if crd["spec"]["names"]["kind"] == example["kind"]]
    (version,) = crd["spec"]["versions"]
    assert example["apiVersion"] == f"{crd['spec']['group']}/{version['name']}"
    _fits(example["spec"], version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _fits(value: Any, schema: Any) -> None:
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"])
        for name, part in value.items():
            _fits(part, schema["properties"][name])
    if isinstance(value, list):
        for part in value:
            _fits(part, schema["items"])


def test_its_version_is_the_operators() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{CHART_FILE["appVersion"]}"\n' in project
