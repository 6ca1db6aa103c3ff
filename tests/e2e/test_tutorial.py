"""docs/tutorial.md, typed: every command of the page, in its order, and what it shows."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from docs.blocks import Command, steps
from docs.shell import Shell, shell
from programs import ROOT

from .cluster import Cluster

PAGE = ROOT / "docs" / "tutorial.md"
STEPS = steps(PAGE.read_text())
DEMO = Command("make demo")
NAMESPACE = "lab"
PATIENCE = 600.0


@pytest.fixture(scope="module")
def reader(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell in a clone: what is saved there is not saved in this one."""
    clone = tmp_path_factory.mktemp("clone")
    for name in (".venv", "examples", "hack"):
        (clone / name).symlink_to(ROOT / name)
    kept = {
        name: os.environ[name] for name in ("HOME", "PATH", "XDG_CACHE_HOME") if name in os.environ
    }
    with shell(clone, {**kept, "COLUMNS": "120", "LANG": "C.UTF-8"}) as found:
        yield found
    cluster.run_kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def test_everything_that_the_page_tells_to_do(demo: dict[str, Any], reader: Shell) -> None:
    """Its first command is what the fixture has done: it ends in a cluster with the operator."""
    assert demo["ok"]
    assert STEPS[0] == DEMO
    for step in STEPS[1:]:
        reader.carry_out(step, PATIENCE)
