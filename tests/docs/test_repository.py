"""What surrounds the code: workflows, forms and configurations are what their readers take."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from programs import ROOT, hack

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yaml"))
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.github-issue-forms": [GITHUB / "ISSUE_TEMPLATE" / f"{n}.yml" for n in ("bug", "idea")],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.renovate": [ROOT / "renovate.json"],
}
RULES = re.findall(r"^([a-z][a-z0-9 -]*):", (ROOT / "Makefile").read_text(), re.M)
TARGETS = {name for rule in RULES for name in rule.split()}


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_are_as_their_schema_says(schema: str) -> None:
    files = SCHEMAS[schema]
    assert files
    done = run(ROOT / ".venv/bin/check-jsonschema", "--builtin-schema", schema, *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_pass_their_linter() -> None:
    actionlint = hack("cluster", "tool", "actionlint")
    done = run(actionlint, "-shellcheck=", "-pyflakes=", *WORKFLOWS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_actions_are_pinned_by_commit_and_named_by_version(path: Path) -> None:
    uses = re.findall(r"uses: (\S+)(.*)$", path.read_text(), re.M)
    for action, comment in uses:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action}: of which version?"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_begin_with_no_right_but_to_read(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] in ({}, {"contents": "read"})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_call_targets_that_there_are(path: Path) -> None:
    called = re.findall(r"\bmake ([a-z-]+)$", path.read_text(), re.M)
    assert called
    assert set(called) <= TARGETS


def test_one_action_has_one_version() -> None:
    """As whoever raises one raises it everywhere."""
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]+)", text))
    assert len(pins) == len({action for action, _ in pins})


def test_hooks_call_programs_of_the_lock() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert hooks
    for hook in hooks:
        assert hook["language"] == "system"
        assert (ROOT / hook["entry"].split()[0]).exists(), hook["entry"]


def test_the_chart_of_a_release_names_the_images_of_the_release() -> None:
    """The workflow replaces these lines of the values, one for each image."""
    values = (ROOT / "charts" / "olive-operator" / "values.yaml").read_text()
    named = re.findall(r"^  (\w+): olive-operator/", values, re.M)
    assert named == list(yaml.safe_load(values)["images"])
    assert len(re.findall(r": olive-operator/", values)) == len(named)


def test_one_version_everywhere() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "olive-operator" / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_the_licence_is_the_one_that_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence


def test_renovate_looks_after_what_is_pinned() -> None:
    managers = set(json.loads((ROOT / "renovate.json").read_text())["enabledManagers"])
    assert {"pep621", "gomod", "github-actions", "dockerfile"} <= managers


def test_a_contributor_needs_three_commands() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    first = re.search(r"```sh\n(.+?)```", page, re.S)
    assert first
    assert len(first[1].splitlines()) == 3
    assert first[1].splitlines()[-1] == "make check"
