"""What a user applies to Argo CD's ConfigMap is what is tested."""

import importlib.util
from typing import Any

import yaml

from .verdicts import ACTIONS, ARGOCD, SCRIPTS, action

NAME = "olive-operator.io_OptimizationJob"


def entries() -> dict[str, str]:
    """Those of the written file."""
    data: dict[str, str] = yaml.safe_load((ARGOCD / "argocd-cm.yaml").read_text())["data"]
    return data


def test_file_is_what_its_program_writes() -> None:
    path = ARGOCD / "argocd_cm.py"
    spec = importlib.util.spec_from_file_location("argocd_cm", path)
    assert spec
    assert spec.loader
    program: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert (ARGOCD / "argocd-cm.yaml").read_text() == program.config_map()


def test_health_check_is_the_script() -> None:
    health = entries()[f"resource.customizations.health.{NAME}"]
    assert health == (SCRIPTS / "health.lua").read_text()


def test_actions_are_the_scripts() -> None:
    found = yaml.safe_load(entries()[f"resource.customizations.actions.{NAME}"])
    assert found == {
        "discovery.lua": (SCRIPTS / "actions" / "discovery.lua").read_text(),
        "definitions": [{"name": n, "action.lua": action(n).read_text()} for n in ACTIONS],
    }
    assert {path.name for path in (SCRIPTS / "actions").iterdir() if path.is_dir()} == {*ACTIONS}
