"""What linters find in the chart is answered in its findings.yaml, and nothing is answered twice.

An answer that names a value holds only if that value ends the finding.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from programs import ROOT, hack

from .helm import CHART, WITH_OPTIONS, Helm

Found = set[tuple[str, str, str]]
"""Tool, kind and check."""

ANSWERS = yaml.safe_load((CHART / "findings.yaml").read_text())
ALL_OK = 10
"""kube-score's best grade."""
CHECKOV = str(ROOT / "hack" / "lint" / ".venv" / "bin" / "checkov")


def _answers() -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    for tool, kinds in ANSWERS.items():
        for kind, checks in kinds.items():
            for check, answer in checks.items():
                yield (tool, kind, check), answer


def _found(helm: Helm, folder: Path, *arguments: str) -> Found:
    path = folder / "rendered.yaml"
    path.write_text(helm.text(*WITH_OPTIONS, *arguments))
    return _kube_score(path) | _checkov(path)


def _kube_score(path: Path) -> Found:
    command = [hack("cluster", "tool", "kube-score"), "score", "--output-format=json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    return {
        ("kube-score", scored["type_meta"]["kind"], check["check"]["id"])
        for scored in json.loads(done.stdout)
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] < ALL_OK
    }


def _checkov(path: Path) -> Found:
    command = [CHECKOV, "--file", str(path), "--framework=kubernetes", "--skip-download"]
    done = subprocess.run([*command, "--output=json"], capture_output=True, text=True)
    failed = json.loads(done.stdout)["results"]["failed_checks"]
    return {("checkov", c["resource"].partition(".")[0], c["check_id"]) for c in failed}


def test_every_finding_is_answered_and_every_answer_is_to_one(helm: Helm, tmp_path: Path) -> None:
    assert _found(helm, tmp_path) == {finding for finding, _ in _answers()}


def test_values_end_the_findings_that_they_are_named_for(helm: Helm, tmp_path: Path) -> None:
    given = []
    for number, (_, answer) in enumerate(_answers()):
        path = tmp_path / f"{number}.yaml"
        path.write_text(json.dumps(answer.get("values", {})))
        given += ["--values", str(path)]
    meant = {finding for finding, answer in _answers() if "values" not in answer}
    assert _found(helm, tmp_path, *given) == meant


@pytest.mark.parametrize("finding", [finding for finding, _ in _answers()], ids="/".join)
def test_an_answer_says_why(finding: tuple[str, str, str]) -> None:
    assert dict(_answers())[finding]["why"].endswith(".")
