"""What Argo CD and kstatus make of an object, as the program of judge/ tells it."""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from programs import ROOT, hack

ARGOCD = ROOT / "examples" / "argocd"
SCRIPTS = ARGOCD / "olive-operator.io" / "OptimizationJob"
ACTIONS = ("retry", "suspend", "resume")


@dataclass(frozen=True)
class Verdict:
    """``offered``: the actions that can be chosen; ``patches``: what each of all would send."""

    health: str
    message: str
    kstatus: str
    offered: frozenset[str]
    patches: dict[str, Any]


def judged(obj: dict[str, Any]) -> Verdict:
    """By the scripts of the example."""
    question = {
        "object": obj,
        "health": (SCRIPTS / "health.lua").read_text(),
        "discovery": (SCRIPTS / "actions" / "discovery.lua").read_text(),
        "actions": {name: action(name).read_text() for name in ACTIONS},
    }
    done = ask(question)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Verdict(
        health=found["health"]["status"],
        message=found["health"]["message"],
        kstatus=found["kstatus"]["status"],
        offered=frozenset(name for name, offered in found["offered"].items() if offered),
        patches=found["patches"],
    )


def action(name: str) -> Path:
    """The script of an action."""
    return SCRIPTS / "actions" / name / "action.lua"


def ask(question: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    """One question to the program, whatever comes of it."""
    return subprocess.run([_program()], input=json.dumps(question), capture_output=True, text=True)


@cache
def _program() -> str:
    return hack("cluster", "tool", "gitops-judge")
