"""``artifact.json``: what an artifact is, from what it was made, by what, and every file's hash."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from olive_contract.serial import decode

ARTIFACT_FILE: Final = "artifact.json"


@dataclass(frozen=True)
class File:
    """A file of an artifact: its path relative to the artifact's folder, bytes, and SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Artifact:
    """The contents of ``artifact.json``.

    ``kind`` and ``params`` and ``inputs`` are those of the key; ``about`` is what a reader of the
    artifact needs to know beyond its files (an export's LoRA inputs, say); ``versions`` the
    libraries that made it; ``metrics`` what was measured while it was made.
    """

    key: str
    kind: str
    params: dict[str, Any]
    inputs: dict[str, str]
    files: tuple[File, ...]
    versions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    gpuSeconds: float = 0.0
    createdAt: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @staticmethod
    def from_json(text: str) -> "Artifact":
        """ValueError names the field that is wrong or missing."""
        return decode(Artifact, json.loads(text))


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(folder: Path) -> Iterator[Path]:
    """Every regular file below the folder but ``artifact.json``, in a fixed order.

    ValueError for a link: an artifact holds all that it names.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ValueError(f"{path.relative_to(folder)} is a link; an artifact holds files only")
        if path.is_file() and path != folder / ARTIFACT_FILE:
            yield path


def describe(folder: Path) -> tuple[File, ...]:
    """Path, size and hash of every file of the folder."""
    return tuple(
        File(str(p.relative_to(folder)), p.stat().st_size, sha256_of(p)) for p in files_of(folder)
    )
