"""Sources on a PersistentVolumeClaim: a folder, or one file of data, mounted read-only."""

import os
from collections.abc import Callable
from pathlib import Path

from olive_contract.artifact import File
from olive_contract.failures import FailureClass, StageFailure
from olive_stage import adapter_folder, model_folder
from olive_stage.copying import copy
from olive_stage.source import Claim
from olive_stage.work import invalid

SOURCES = "OLIVE_SOURCES"
"""Environment: the folder below which every claim is mounted under its name."""


class ClaimOrigin:
    """What is at a path of a claim."""

    def __init__(self, source: Claim, what: str, need: Callable[[int], None]) -> None:
        self.source, self.what, self.need = source, what, need

    def commit(self) -> str:
        """Empty: only reading tells what the files hold."""
        return ""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Copy what is wanted of the folder, or the one file."""
        path = self.resolve()
        folder, names = self.choose(path)
        self.need(sum((folder / name).stat().st_size for name in names))
        return copy(folder, names, out)

    def resolve(self) -> Path:
        """The path on this pod; SourceNotFound if nothing is there, InvalidInput if outside."""
        root = Path(os.environ.get(SOURCES, "/sources")) / self.source.claim
        if not root.is_dir():
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND, f"claim {self.source.claim} is not mounted"
            )
        path = (root / self.source.path).resolve()
        if not path.is_relative_to(root.resolve()):
            raise invalid(f"{self.source} leads out of the claim")
        if not path.exists():
            beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND,
                f"{self.source} is not there; beside it: {', '.join(beside[:8]) or 'nothing'}",
            )
        return path

    def choose(self, path: Path) -> tuple[Path, list[str]]:
        """The folder to copy from, and the names in it."""
        if self.what == "data":
            if not path.is_file():
                raise invalid(f"{self.source} is a folder; name the JSON Lines file in it")
            return path.parent, [path.name]
        if not path.is_dir():
            raise invalid(f"{self.source} is a file; name the folder that holds the {self.what}")
        names = [p.name for p in path.iterdir() if p.is_file()]
        if self.what == "adapter":
            adapter_folder.check_names(names, str(self.source))
            return path, list(adapter_folder.KEPT)
        model_folder.check_names(names, str(self.source))
        return path, model_folder.kept(names)
