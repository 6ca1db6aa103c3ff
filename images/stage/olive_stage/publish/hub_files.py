"""The files of a version on a hub: which are to be there, which are, and their transfer.

A small file of ours beside them, olive-operator.json, says which content a commit has, and which
files are of it. All others in the repository are somebody else's, and stay.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from huggingface_hub import CommitOperationAdd

from olive_contract.artifact import CHUNK
from olive_contract.serial import decode
from olive_stage.copying import Meter
from olive_stage.publish.card import CARD_FILE
from olive_stage.publish.version import Entry, Version

NOTE_FILE = "olive-operator.json"
NOTE_LIMIT = 1 << 22
OTHER_CARD = "MODEL_CARD.md"
"""The card's name where somebody has a README.md of their own."""


@dataclass(frozen=True)
class Note:
    """What olive-operator.json says: the content, whose job made it, and SHA-256 by path."""

    content: str = ""
    job: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        body = {"content": self.content, "job": self.job, "files": dict(self.files)}
        return (json.dumps(body, sort_keys=True, indent=1) + "\n").encode()

    @staticmethod
    def from_bytes(text: bytes) -> "Note":
        """An empty one for what is no note of ours."""
        try:
            body = decode(_Body, json.loads(text))
        except (ValueError, RecursionError):
            return Note()
        return Note(body.content, body.job, body.files)


@dataclass(frozen=True)
class _Body:
    content: str
    files: dict[str, str]
    job: str = ""


@dataclass(frozen=True)
class Head:
    """A branch at a commit: the hub's listing by path, and our note, empty if there is none."""

    commit: str
    listed: Mapping[str, Any]
    note: Note = field(default_factory=Note)

    def has(self, version: Version) -> bool:
        """Whether this is the version's content, as it was published: documents may differ."""
        return self.note.content == version.content and all(
            self.note.files.get(entry.path) == entry.sha256 and is_as(entry, self.listed)
            for entry in version.entries
        )

    def named(self, version: Version) -> tuple[Entry, ...]:
        """The version's files under the names that they get here."""
        theirs = CARD_FILE in self.listed and CARD_FILE not in self.note.files
        return tuple(
            replace(entry, path=OTHER_CARD) if theirs and entry.path == CARD_FILE else entry
            for entry in version.files
        )


def is_as(entry: Entry, listed: Mapping[str, Any]) -> bool:
    """Whether the hub lists the file with its size and, where it tells one, its SHA-256."""
    found = listed.get(entry.path)
    if found is None or found.size != entry.size:
        return False
    return found.lfs is None or found.lfs.sha256 == entry.sha256


class Addition(CommitOperationAdd):
    """A file to add, whose SHA-256 is known and whose reading is told to a meter."""

    def __init__(self, entry: Entry, meter: Meter, before: int) -> None:
        super().__init__(entry.path, entry.file)
        self.upload_info.sha256 = bytes.fromhex(entry.sha256)
        self._file, self._meter, self._before = entry.file, meter, before

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        with _Metered(self._file, self._meter, self._before) as stream:
            yield stream


class _Metered(io.BufferedReader):
    """A file that tells how far it has been read, the first time that it is."""

    def __init__(self, path: Path, meter: Meter, before: int) -> None:
        super().__init__(io.FileIO(path), CHUNK)
        self._meter, self._before = meter, before

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self._meter.reach(max(self._meter.done, self._before + self.tell()))
        return found
