"""Files into an artifact, hashed while they are written, so that they are read once."""

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from olive_contract.artifact import File
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import digest
from olive_stage.console import progress
from olive_stage.words import plain
from olive_stage.work import invalid

CHUNK = 1 << 22
EVERY_SECONDS = 2.0


class Meter:
    """Progress lines of a transfer of ``total`` bytes (0: not known), one in two seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.started = self.told = time.monotonic()

    def add(self, count: int) -> None:
        self.reach(self.done + count)

    def reach(self, done: int) -> None:
        """So many bytes are there now."""
        self.done = done
        now = time.monotonic()
        if now - self.told < EVERY_SECONDS or not self.total:
            return
        self.told = now
        left = (self.total - done) * (now - self.started) / max(done, 1)
        progress(99 * done / self.total, max(left, 0))


def write(stream: BinaryIO, to: Path, name: str, meter: Meter) -> File:
    """The stream's bytes as file ``name`` of the folder ``to``."""
    hashed, size = hashlib.sha256(), 0
    path = to / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        while chunk := stream.read(CHUNK):
            hashed.update(chunk)
            out.write(chunk)
            size += len(chunk)
            meter.add(len(chunk))
    return File(name, size, hashed.hexdigest())


def copy(source: Path, names: Iterable[str], to: Path, root: Path) -> tuple[File, ...]:
    """These files of the folder ``source`` into ``to``; links are followed inside ``root``."""
    wanted = list(names)
    meter = Meter(sum(size_inside(source / name, root) for name in wanted))
    found = []
    for name in wanted:
        with open_inside(source / name, root) as stream:
            found.append(write(stream, to, name, meter))
    return tuple(found)


def open_inside(path: Path, root: Path) -> BinaryIO:
    """The regular file at ``path``; a StageFailure if it is none, or lies outside of ``root``.

    Decided by what was opened, so that changing a link in between gains nothing; O_NONBLOCK, so
    that nobody waits for the other end of a pipe.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(plain(path.name), error) from error
    inside = Path(os.readlink(f"/proc/self/fd/{handle}")).is_relative_to(root.resolve())
    if inside and stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise invalid(
        f"{plain(path.name)} is no ordinary file"
        if inside
        else f"{plain(path.name)} is a link that leads out of the claim"
    )


def size_inside(path: Path, root: Path) -> int:
    """Bytes of the regular file at ``path``, as ``open_inside`` opens it."""
    with open_inside(path, root) as stream:
        return os.fstat(stream.fileno()).st_size


def _unreadable(name: str, error: OSError) -> Exception:
    if error.errno == errno.ENOENT:
        return StageFailure(FailureClass.SOURCE_NOT_FOUND, f"{name} is a link to nothing")
    if error.errno == errno.EACCES:
        return StageFailure(
            FailureClass.AUTH_DENIED,
            f"{name} may not be read by the stage's user; give others the right to read it",
        )
    if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
        return invalid(f"{name} is no ordinary file")
    return error


def move(path: Path, to: Path, name: str) -> None:
    """A file of the same volume to its place in the artifact."""
    (to / name).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(path, to / name)
    except OSError:
        shutil.move(path, to / name)


def content_of(files: Iterable[File]) -> str:
    """The digest of a set of files: of every path and hash, in order of path."""
    return digest(sorted([file.path, file.sha256] for file in files))


def bytes_in(folder: Path) -> int:
    """Bytes on disk of everything below the folder, files that are just being written included."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # renamed meanwhile
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
    return total
