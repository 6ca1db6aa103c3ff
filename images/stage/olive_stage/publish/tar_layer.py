"""A layer of an image as an uncompressed tar that is written nowhere: read from the files, anew.

What is in it is decided by names and contents alone, so every reading gives the same bytes, and may
begin anywhere. Everything lies below ``models/``, where KServe has it in its images.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.publish.version import Entry
from olive_stage.words import plain

ROOT = "models"
CHUNK = 1 << 22
FOLDER_MODE, FILE_MODE = 0o755, 0o644
END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Layer:
    """``title`` is the file name that ORAS gives it."""

    title: str
    entries: tuple[Entry, ...]

    @cached_property
    def parts(self) -> tuple[bytes | Entry, ...]:
        """The tar in order: headers and padding as they are, and files to read."""
        return tuple(_parts(self.entries))

    @property
    def size(self) -> int:
        """Bytes of the tar."""
        return sum(map(_size, self.parts))

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the tar, from reading all of it once."""
        hashed = hashlib.sha256()
        for piece in self.read():
            hashed.update(piece)
        return f"sha256:{hashed.hexdigest()}"

    def read(self, offset: int = 0) -> Iterator[bytes]:
        """The tar's bytes from ``offset`` on, in pieces."""
        for part in self.parts:
            size = _size(part)
            if offset >= size:
                offset -= size
                continue
            if isinstance(part, bytes):
                yield part[offset:]
            else:
                yield from _content(part, offset)
            offset = 0


def _parts(entries: tuple[Entry, ...]) -> Iterator[bytes | Entry]:
    paths = {entry: PurePosixPath(ROOT, entry.path) for entry in entries}
    folders = {parent for path in paths.values() for parent in path.parents[:-1]}
    for folder in sorted(folders):
        yield _header(f"{folder}/", tarfile.DIRTYPE, FOLDER_MODE)
    for entry, path in sorted(paths.items(), key=lambda item: item[1]):
        yield _header(str(path), tarfile.REGTYPE, FILE_MODE, entry.size)
        yield entry
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield END


def _header(name: str, kind: bytes, mode: int, size: int = 0) -> bytes:
    """Nobody's file, of no time."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = kind, mode, size
    return info.tobuf(tarfile.PAX_FORMAT)


def _size(part: bytes | Entry) -> int:
    return len(part) if isinstance(part, bytes) else part.size


def _content(entry: Entry, offset: int) -> Iterator[bytes]:
    """Exactly as many bytes as the header says."""
    left = entry.size - offset
    with entry.file.open("rb", buffering=0) as stream:
        stream.seek(offset)
        while left:
            piece = stream.read(min(CHUNK, left))
            if not piece:
                raise StageFailure(
                    FailureClass.STAGE_ERROR,
                    f"{plain(entry.path)} became shorter meanwhile",
                )
            left -= len(piece)
            yield piece
