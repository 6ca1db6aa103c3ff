"""What the chart renders, whole: for nothing set, two namespaces, a small node, everything set.

`UPDATE_GOLDEN=1 pytest tests/chart` writes the files anew; read the difference before it is kept.
"""

import os

import pytest

from .helm import CHART, HERE, KUBE_VERSION, Helm, values

CASES = ["default", "namespaced", "small", "everything"]


@pytest.mark.parametrize("name", CASES)
def test_renders_as_before(helm: Helm, name: str) -> None:
    # The CRDs are left out, as test_crds.py compares them with their source, and `helm test`.
    text = helm.text(*values(name), "--set", "crds.install=false", "--skip-tests")
    # helm 3 and 4 differ in empty lines between the documents.
    rendered = "".join(line for line in text.splitlines(keepends=True) if line.strip())
    golden = HERE / "golden" / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


@pytest.mark.parametrize("name", CASES)
def test_lint_finds_nothing(helm: Helm, name: str) -> None:
    command = ["lint", "--strict", "--kube-version", KUBE_VERSION, *values(name)]
    done = helm.run(*command, str(CHART))
    assert "0 chart(s) failed" in done.stdout
