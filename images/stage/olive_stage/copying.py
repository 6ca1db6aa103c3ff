"""Files into an artifact, hashed while they are written, so that they are read once."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from olive_contract.artifact import File
from olive_contract.keys import digest
from olive_stage.console import progress

CHUNK = 1 << 22
EVERY_SECONDS = 2.0


class Meter:
    """Progress lines of a transfer of ``total`` bytes (0: not known), one in two seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.started = self.told = time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told < EVERY_SECONDS or not self.total:
            return
        self.told = now
        left = (self.total - self.done) * (now - self.started) / max(self.done, 1)
        progress(99 * self.done / self.total, max(left, 0))


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


def copy(source: Path, names: Iterable[str], to: Path) -> tuple[File, ...]:
    """These files of the folder ``source`` into the folder ``to``; links are followed."""
    wanted = list(names)
    meter = Meter(sum((source / name).stat().st_size for name in wanted))
    found = []
    for name in wanted:
        with (source / name).open("rb") as stream:
            found.append(write(stream, to, name, meter))
    return tuple(found)


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
