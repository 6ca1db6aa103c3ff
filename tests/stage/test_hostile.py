"""Inputs that are wrong on purpose: each ends in a class and a sentence, and does nothing else.

The cases stand in ``hostile/``. They run in one process of their own, whose memory is bounded.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile.runner import cases
from lab import REPOSITORY, STAGE

from olive_contract.stage import REPORT_LIMIT, Report

CASES = list(cases())
HERE = Path(__file__).parent


def test_the_cases_are_many_and_each_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 200


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the process found of every case, by its name."""
    root = tmp_path_factory.mktemp("hostile") / "root"
    root.mkdir()
    paths = (HERE, STAGE, REPOSITORY / "operator")
    environment = {
        **os.environ,
        "PYTHONPATH": ":".join(map(str, paths)),
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.run(
        [sys.executable, "-m", "hostile.runner", str(root)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    lines = [line for line in process.stderr.splitlines() if line.startswith('{"name"')]
    assert process.returncode == 0, process.stderr[-4000:]
    return {line["name"]: line for line in map(json.loads, lines)}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_hostile(case: Any, found: dict[str, dict[str, Any]]) -> None:
    result = found[case.name]
    report = Report.from_json(result["report"])
    assert (report.reason or report.outcome) == case.ends, report
    assert case.says in report.message
    assert bool(report.message) == (report.outcome == "Failed")
    assert "s3cr3t" not in result["report"]
    assert "Traceback" not in report.message
    assert "\x1b" not in report.message
    assert len(result["report"].encode()) <= REPORT_LIMIT
    if not case.params.get("trustRemoteCode"):
        assert not [name for name in result["kept"] if name.endswith(".py")]
    assert not [name for name in result["kept"] if name.endswith((".bin", ".pt", ".pkl"))]
    assert not result["canary"], "code of the input was run"
    assert not result["outside"], "something was written outside of the store"
    assert not result["left"], "something half made was left in the store"
