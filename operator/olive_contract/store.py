"""The folder of artifacts on a claim: each is whole, or it is not there.

Layout below the root::

    <key>/artifact.json, files…     an artifact; its folder is named by its key
    .building/<key>-<random>/       being written; renamed into place when complete
    .scratch/<key>/                 what a stage keeps across attempts (checkpoints)
    .scratch/fetch-<key>/           what a fetch has of a source so far, and the lock on it

An artifact is written beside, hashed, fsynced and renamed into place; it is removed by a rename out
of sight. Readers verify what they read. Safe for several writers of one key at once: the first
rename wins, the others find it there.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from olive_contract.artifact import ARTIFACT_FILE, Artifact, files_of, hashes
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.removal import aside, delete, fsync, last_written


class Store:
    """The artifacts below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the artifact is, or would be."""
        return self.root / key

    def scratch(self, key: str) -> Path:
        """A folder that survives attempts, made if it is not there; gone once the artifact is.

        To have asked for it is to have used it: what nobody uses is left over one day.
        """
        folder = self._scratch() / key
        folder.mkdir(exist_ok=True)
        os.utime(folder)
        return folder

    def find(self, key: str) -> Artifact | None:
        """The artifact's description if it is in the store; its files are not read."""
        try:
            return Artifact.from_json((self.path(key) / ARTIFACT_FILE).read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def record(self, key: str) -> Artifact:
        """The artifact's description; its files are not read. Raises as ``open`` does."""
        try:
            artifact = self.find(key)
        except (ValueError, RecursionError) as error:
            raise _missing(key, f"its {ARTIFACT_FILE} is damaged ({error})") from error
        if artifact is None:
            raise _missing(key, "it is not on the volume")
        return artifact

    def open(self, key: str) -> Artifact:
        """The artifact, every file verified by size and SHA-256.

        Raises StageFailure(INPUT_MISSING) naming what is absent or damaged.
        """
        artifact = self.record(key)
        paths = [self.path(key) / file.path for file in artifact.files]
        for file, path in zip(artifact.files, paths, strict=True):
            if not path.resolve().is_relative_to(self.path(key).resolve()):
                raise _missing(key, f"{file.path} leads out of it")
            if not path.is_file():
                raise _missing(key, f"{file.path} is absent")
            if path.stat().st_size != file.size:
                raise _missing(key, f"{file.path} is not what was written")
        for file, sha256 in zip(artifact.files, hashes(paths), strict=True):
            if sha256 != file.sha256:
                raise _missing(key, f"{file.path} is not what was written")
        return artifact

    def discard(self, key: str) -> None:
        """Take a damaged artifact out of sight, so that it can be made again."""
        if damaged := self._aside(self.path(key), key):
            shutil.rmtree(damaged, ignore_errors=True)

    def remove(self, key: str) -> None:
        """Remove the artifact and all that was left of making it; nobody makes or reads it now.

        It is out of sight before the first file goes, and whoever is stopped here may begin again.
        """
        self._aside(self.path(key), key)
        self._aside(self.root / ".scratch" / key, key)
        for folder in self._building().glob(f"{key}-*"):
            delete(folder)

    def leftovers(self, before: float) -> Iterator[Path]:
        """What lies in .building and .scratch and was last written to before this (Unix time)."""
        for folder in (self._building(), self._scratch()):
            for path in sorted(folder.iterdir()):
                if last_written(path) < before:
                    yield path

    def clear(self, leftover: Path) -> None:
        """Remove one of the leftovers; nobody finds half of it."""
        if hidden := self._aside(leftover, "left"):
            delete(hidden)

    @contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """A folder to write the artifact's files into; removed on leaving unless committed."""
        folder = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=self._building()))
        folder.chmod(0o775)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, folder: Path, artifact: Artifact) -> None:
        """Make the artifact visible, whole: files to disk, ``artifact.json``, then the name."""
        for path in files_of(folder):
            path.chmod(0o664)  # libraries write 0600; readers are other users of the volume
            fsync(path)
        note = folder / ARTIFACT_FILE
        note.write_text(artifact.to_json())
        fsync(note)
        for parent in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
            parent.chmod(0o775)
            fsync(parent)
        try:
            os.rename(folder, self.path(artifact.key))
        except OSError:
            if self.find(artifact.key) is None:
                raise
        fsync(self.root)
        shutil.rmtree(self.root / ".scratch" / artifact.key, ignore_errors=True)

    def _aside(self, path: Path, name: str) -> Path | None:
        return aside(path, self._building(), name)

    def _building(self) -> Path:
        return self._made(".building")

    def _scratch(self) -> Path:
        return self._made(".scratch")

    def _made(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _missing(key: str, why: str) -> StageFailure:
    return StageFailure(
        FailureClass.INPUT_MISSING, f"artifact {key[:12]} cannot be read: {why}", missing=key
    )
