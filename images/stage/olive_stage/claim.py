"""Sources on a PersistentVolumeClaim: a folder, or one file of data, mounted read-only."""

import os
from pathlib import Path

from olive_contract.artifact import File
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import FetchParams
from olive_stage.copying import copy, size_inside
from olive_stage.room import Need, make_room
from olive_stage.source import Claim
from olive_stage.wanted import wanted
from olive_stage.words import some
from olive_stage.work import invalid

SOURCES = "OLIVE_SOURCES"
"""Environment: the folder below which every claim is mounted under its name."""


class ClaimOrigin:
    """What is at a path of a claim."""

    def __init__(self, source: Claim, params: FetchParams, need: Need) -> None:
        self.source, self.params, self.need = source, params, need
        self.known: dict[str, object] = {}
        self.root = Path(os.environ.get(SOURCES, "/sources")) / source.claim

    def commit(self) -> str:
        """Empty: only reading tells what the files hold."""
        return ""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Copy what is wanted of the folder, or the one file."""
        folder, names = self.choose(self.resolve())
        size = sum(size_inside(folder / name, self.root) for name in names)
        make_room(out, self.need, size)
        return copy(folder, names, out, self.root)

    def resolve(self) -> Path:
        """The path on this pod; SourceNotFound if nothing is there, InvalidInput if outside."""
        if not self.root.is_dir():
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND, f"claim {self.source.claim} is not mounted"
            )
        try:
            path = (self.root / self.source.path).resolve()
            there = path.exists()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, links in a circle
            raise invalid(f"{self.source} is no path that can be read") from error
        if not path.is_relative_to(self.root.resolve()):
            raise invalid(f"{self.source} leads out of the claim")
        if not there:
            beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND,
                f"{self.source} is not there; beside it: {some(beside)}",
            )
        return path

    def choose(self, path: Path) -> tuple[Path, list[str]]:
        """The folder to copy from, and the names in it."""
        what = self.params.what
        if what == "data":
            if path.is_dir():
                raise invalid(f"{self.source} is a folder; name the JSON Lines file in it")
            return path.parent, [path.name]
        if not path.is_dir():
            raise invalid(f"{self.source} is a file; name the folder that holds the {what}")
        return path, wanted([p.name for p in path.iterdir()], self.params, str(self.source))
