"""The release before this one: the chart and the operator of a fixed commit, out of the history.

Its operator's image is built by its own hack/images. The stages' and the servings' images are those
of now: they are gigabytes, and what an operator starts names the image that it is to run.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import ROOT

COMMIT = "5715db8354d44d96957829b1d8f095166dfd14cf"


@dataclass(frozen=True)
class Previous:
    """A tree of it, and the full name of its operator's image, which is on the node."""

    tree: Path
    image: str

    @property
    def chart(self) -> Path:
        return self.tree / "charts" / "olive-operator"

    @property
    def crds(self) -> Path:
        return self.tree / "crds"


def previous(folder: Path) -> Previous:
    """Unpack and build it. Skips the test where this is no clone with its whole history."""
    if _git("cat-file", "-e", f"{COMMIT}^{{commit}}").returncode != 0:
        shallow = _git("rev-parse", "--is-shallow-repository").stdout.strip()
        assert shallow != b"false", f"the history has no commit {COMMIT}"
        pytest.skip(f"the history is not here, and so not {COMMIT[:12]}; a whole clone has it")
    archive = _git("archive", COMMIT)
    assert archive.returncode == 0, archive.stderr
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    command = [sys.executable, str(folder / "hack" / "images"), "load", "operator"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "building the operator's image has failed; see above"
    return Previous(folder, done.stdout.split()[-1])


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    # Whoever runs the tests trusts the clone, whose ever it is.
    command = ["git", "-C", str(ROOT), "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, capture_output=True)
