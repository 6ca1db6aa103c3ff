"""Every example is one that the API server takes, and so is every manifest in the documents."""

import re
from pathlib import Path

import pytest
import yaml
from programs import ROOT

from .kubectl import Kubectl

EXAMPLES = ROOT / "examples"


def _jobs() -> list[tuple[Path, str]]:
    return [
        (path.relative_to(EXAMPLES), manifest["metadata"]["name"])
        for path in sorted(EXAMPLES.rglob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
        if manifest and manifest.get("kind") == "OptimizationJob"
    ]


def test_there_is_an_example() -> None:
    assert _jobs()


@pytest.mark.parametrize("path", sorted({str(path) for path, _ in _jobs()}))
def test_example_is_accepted(crds: Kubectl, path: str) -> None:
    for manifest in yaml.safe_load_all((EXAMPLES / path).read_text()):
        if manifest and manifest.get("kind") == "OptimizationJob":
            manifest["metadata"].pop("namespace", None)  # it need not exist here
            assert crds.dry_run(manifest)


@pytest.mark.parametrize("path", ["README.md", "docs/manifest.md"])
def test_manifest_in_a_document_is_accepted(crds: Kubectl, path: str) -> None:
    manifests = re.findall(r"```yaml\n(apiVersion: olive.+?)```", (ROOT / path).read_text(), re.S)
    assert manifests
    for text in manifests:
        manifest = yaml.safe_load(text)
        del manifest["metadata"]["namespace"]  # it need not exist here
        assert crds.dry_run(manifest)
