"""What is published: files under the names they have in a version, and what names its content."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from olive_contract.artifact import Artifact, describe
from olive_contract.keys import digest
from olive_contract.store import Store
from olive_stage.publish.origin import ADAPTER, BASE, Origin
from olive_stage.work import Work

ADAPTERS_FOLDER = "adapters"


@dataclass(frozen=True)
class Entry:
    """A file: its path in the version, where it is now, its bytes and SHA-256."""

    path: str
    file: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Version:
    """``entries``: the files of base and adapters; ``documents``: those that tell of them.

    Documents may differ between two versions of the same ``content``, as what was measured may.
    """

    origin: Origin
    entries: tuple[Entry, ...]
    documents: tuple[Entry, ...]

    @property
    def content(self) -> str:
        """What names the content: a SHA-256 of the keys of the base and of the adapters."""
        return self.origin.content

    @cached_property
    def files(self) -> tuple[Entry, ...]:
        """All files, by their paths."""
        return tuple(sorted((*self.entries, *self.documents), key=lambda entry: entry.path))

    @cached_property
    def digest(self) -> str:
        """What names these very files, documents and all, where ``content`` names what they are."""
        return digest([[entry.path, entry.sha256] for entry in self.files])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


def with_documents(work: Work, origin: Origin) -> Version:
    """The version of the work's inputs and of the documents in its folder."""
    documents = (Entry(f.path, work.out / f.path, f.size, f.sha256) for f in describe(work.out))
    return Version(origin, tuple(_entries(work)), tuple(documents))


def _entries(work: Work) -> Iterator[Entry]:
    """The base as it is served, and each adapter in a folder of its name."""
    for role, artifact in work.inputs.items():
        if role == BASE:
            yield from _of(artifact, work.store, "")
        elif role.startswith(ADAPTER):
            yield from _of(artifact, work.store, f"{ADAPTERS_FOLDER}/{role.removeprefix(ADAPTER)}/")


def _of(artifact: Artifact, store: Store, folder: str) -> Iterator[Entry]:
    for file in artifact.files:
        path = store.path(artifact.key) / file.path
        yield Entry(f"{folder}{file.path}", path, file.size, file.sha256)
