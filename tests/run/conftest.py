"""Fixtures: the tiny model on a claim's folder, a machine for each test, and one finished job."""

import shutil
import subprocess
from pathlib import Path

import pytest

from run.here import EXAMPLE, REPOSITORY, Finished, Here, spec

MAKE_MODEL = "import sys, make_model; make_model.STEPS = 8; make_model.main()"
"""An untaught model will do: nothing here asks what it has learnt."""


@pytest.fixture(scope="session")
def claim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model and the data sets, as on the example's claim."""
    folder = tmp_path_factory.mktemp("claim")
    shutil.copytree(EXAMPLE, folder / "data", ignore=shutil.ignore_patterns("*.py"))
    python = REPOSITORY / "images" / "stage" / ".venv" / "bin" / "python"
    command: list[str | Path] = [python, "-c", MAKE_MODEL, folder / "model", folder / "data"]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(EXAMPLE)})
    return folder


@pytest.fixture
def here(tmp_path: Path, claim: Path) -> Here:
    """An empty store."""
    return Here(tmp_path, claim)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory, claim: Path) -> tuple[Here, Finished]:
    """A machine on which the whole job was run once, and what that run said."""
    there = Here(tmp_path_factory.mktemp("first"), claim)
    return there, there.run(spec(), "--json")


@pytest.fixture
def after(first: tuple[Here, Finished], tmp_path: Path, claim: Path) -> Here:
    """A machine of the test's own with the store that the first run left."""
    there, told = first
    assert told.code == 0, told
    shutil.copytree(there.store, tmp_path / "store")
    return Here(tmp_path, claim)
