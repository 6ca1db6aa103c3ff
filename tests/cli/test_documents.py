"""The documents say what the code does: fields and errors of the CRD, failure classes, metrics."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from olive_contract.failures import FailureClass
from olive_operator.api.duration import spoken
from olive_operator.plan.pods import POD_REFUSED, REFUSED, STALLED
from olive_operator.plan.retries import JITTER, LONGEST_DELAY, POLICY, Action, Rule

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
    assert len(path) == 1 or re.search(rf"`([a-zA-Z]+\.)*{path[-1]}[`.]", section)


def test_the_errors_are_those_of_the_api_server() -> None:
    known = set(messages(SCHEMA))
    quoted = re.findall(r"^> (.+)$", MANIFEST, re.M)
    assert quoted
    assert [text for text in quoted if text not in known] == []


def test_the_examples_have_every_section() -> None:
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.+?)```", MANIFEST, re.S)]
    sections = {section for example in examples for section in example["spec"]}
    assert sections == set(SCHEMA["properties"]["spec"]["properties"])


def cells(rule: Rule) -> list[str]:
    """What the table has to say of a class: action, counts, first delay, limit."""
    if rule.action == Action.FAIL:
        return [rule.action.value, "yes", "–", "–"]
    if not rule.counts:
        return [rule.action.value, "no", "none, then the job's", "none"]
    delay = "the job's" if rule.delay is None else spoken(rule.delay) if rule.delay else "none"
    limit = "the job's" if rule.limit is None else str(rule.limit)
    return [rule.action.value, "yes", delay, limit]


@pytest.mark.parametrize("failure", list(FailureClass))
def test_failure_classes(failure: FailureClass) -> None:
    row = re.search(rf"^\| `{failure.value}` \| (.+) \|$", section("## Failures"), re.M)
    assert row, f"docs/operations.md does not describe {failure.value}"
    assert row[1].split(" | ")[:4] == cells(POLICY[failure])


def test_delays_of_retries() -> None:
    told = re.search(r"doubles with each, up to (\w+); .* up to (\d+) %", section("## Failures"))
    assert told
    assert (told[1], int(told[2])) == (spoken(LONGEST_DELAY), round(JITTER * 100))


@pytest.mark.parametrize(
    ("module", "prefix"),
    [
        ("operator/olive_operator/metrics/counters.py", "olive_"),
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


def section(title: str) -> str:
    """The text of docs/operations.md from a title, or a sentence, to the next title."""
    assert title in OPERATIONS
    return OPERATIONS.partition(title)[2].partition("\n## ")[0]


def reasons(module: str, *before: str) -> set[str]:
    """The words in quotes that stand behind one of these in a module of the plan."""
    source = (ROOT / "operator" / "olive_operator" / module).read_text()
    return {word for text in before for word in re.findall(rf'{text}\s*"([A-Z]\w+)"', source)}


PENDING = (
    {REFUSED, POD_REFUSED}
    | reasons("plan/pods.py", r"Pending\(")
    | reasons("plan/volumes.py", r"Pending\(")
)
PASSING = {"PodNotCreated", "Scheduling", "VolumeElsewhere"}
"""Every pod is in the first two for a moment; the third is told as VolumeBusy or VolumeHeld."""


def test_reasons_of_pending_pods_are_those_of_the_operator() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", section("Why a pod does not"), re.M))
    assert set(rows) == PENDING - PASSING
    assert {reason for reason, stalled in rows.items() if stalled == "yes"} == STALLED


def test_reasons_of_stages_are_those_of_the_operator() -> None:
    told = section("The reason of a stage").partition("Why a pod does not")[0]
    given = (
        reasons("plan/outcomes.py", "reason=", r"_without_work\(view, ")
        | reasons("plan/waits.py", "reason=", "SHARED: Final = ", "FOR_INPUTS: Final = ")
        | reasons("plan/limits.py", "NO_PROGRESS = ")
        | reasons("api/status.py", "GATE_FAILED: Final = ")
    )
    told_of = set(re.findall(r"^\| `(\w+)` \|", told, re.M))
    assert told_of == given - PENDING | {"Built", "Cached"}


def test_reasons_of_jobs_are_those_of_the_operator() -> None:
    told = section("## Conditions").partition("All three")[2]
    given = reasons("plan/conditions.py", r"Phase.\w+,")
    assert set(re.findall(r"^\| `(\w+)` \|", told, re.M)) == given
