"""``artifact.json``: what an artifact is, from what it was made, by what, and every file's hash."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from olive_contract.serial import decode
from olive_contract.stage import Published

ARTIFACT_FILE: Final = "artifact.json"
CHUNK: Final = 1 << 22
HASHED_AT_ONCE: Final = 4
"""Files; a model's shards are few, and a volume gives little more to more readers."""


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
    artifact needs to know beyond its files (an export's LoRA inputs, say; where a publication is,
    under ``published``); ``versions`` the libraries that made it; ``metrics`` what was measured
    while it was made.
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

    @property
    def published(self) -> Published | None:
        """Where the version is that this is the record of; None for all but publications."""
        told = self.about.get("published")
        return decode(Published, told, "about.published") if told is not None else None

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @staticmethod
    def from_json(text: str) -> "Artifact":
        """ValueError names the field that is wrong or missing."""
        return decode(Artifact, json.loads(text))


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in chunks.

    They are large, as a thread waits for Python's lock after each, and another that imports
    libraries meanwhile lets go of it a few hundred times a second only.
    """
    hashed, chunk = hashlib.sha256(), memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(chunk):
            hashed.update(chunk[:size])
    return hashed.hexdigest()


def hashes(paths: Sequence[Path]) -> list[str]:
    """The SHA-256 of each file; several at a time, as hashing lets other threads run."""
    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        return list(pool.map(sha256_of, paths))


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
    paths = list(files_of(folder))
    return tuple(
        File(str(path.relative_to(folder)), path.stat().st_size, sha256)
        for path, sha256 in zip(paths, hashes(paths), strict=True)
    )
