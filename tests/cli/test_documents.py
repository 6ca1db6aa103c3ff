"""The documents say what the code does: fields and errors of the CRD, failure classes, metrics."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from olive_contract.failures import FailureClass
from olive_operator.plan.retries import POLICY

ROOT = Path(__file__).resolve().parents[2]
CRD = yaml.safe_load((ROOT / "crds" / "optimizationjobs.olive-operator.io.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
MANIFEST = (ROOT / "docs" / "manifest.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def fields(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all fields that a person may write."""
    for name, inner in schema.get("properties", {}).items():
        yield (*path, name)
        yield from fields(inner, (*path, name))
        yield from fields(inner.get("items", {}), (*path, name))


def messages(schema: Any) -> Iterator[str]:
    """Every text with which the API server refuses."""
    if isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations", ()):
            if "message" in rule:
                yield rule["message"]
        for inner in schema.values():
            yield from messages(inner)


@pytest.mark.parametrize("path", list(fields(SCHEMA["properties"]["spec"])), ids=".".join)
def test_every_field_is_described(path: tuple[str, ...]) -> None:
    section = MANIFEST.partition(f"\n## {path[0]}\n")[2].partition("\n## ")[0]
    assert section, f"docs/manifest.md has no section on {path[0]}"
    assert len(path) == 1 or re.search(rf"`([a-z]+\.)*{path[-1]}[`.]", section)


def test_the_errors_are_those_of_the_api_server() -> None:
    known = set(messages(SCHEMA))
    quoted = re.findall(r"^> (.+)$", MANIFEST, re.M)
    assert quoted
    assert [text for text in quoted if text not in known] == []


def test_the_examples_have_every_section() -> None:
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.+?)```", MANIFEST, re.S)]
    sections = {section for example in examples for section in example["spec"]}
    assert sections == set(SCHEMA["properties"]["spec"]["properties"])


@pytest.mark.parametrize("failure", list(FailureClass))
def test_failure_classes(failure: FailureClass) -> None:
    row = re.search(rf"^\| `{failure.value}` \| ([^|]+) \| (yes|no) \|", OPERATIONS, re.M)
    assert row, f"docs/operations.md does not describe {failure.value}"
    assert (row[1] != "no", row[2] == "yes") == (POLICY[failure].again, POLICY[failure].counts)


@pytest.mark.parametrize(
    ("module", "prefix"),
    [
        ("operator/olive_operator/metrics.py", "olive_"),
        ("images/serve/olive_serve/metrics.py", "(?:vllm:|olive_serve_)"),
    ],
)
def test_metrics_are_described_if_they_exist(module: str, prefix: str) -> None:
    defined = set(re.findall(rf'"({prefix}[a-z_:]+)"', (ROOT / module).read_text()))
    assert defined
    missing = {name for name in defined if name not in OPERATIONS} - {
        "vllm:request_time_per_output_token_seconds"
    }
    assert missing == set()


def test_reasons_of_pending_pods_are_those_of_the_operator() -> None:
    source = (ROOT / "operator" / "olive_operator" / "plan" / "pods.py").read_text()
    given = set(re.findall(r'Pending\(\s*"([A-Za-z]+)"', source)) - {"PodNotCreated", "Scheduling"}
    section = OPERATIONS.partition("Why a pod does not start")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z][A-Za-z]+)`", section)) == given
