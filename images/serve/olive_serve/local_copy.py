"""The model on a disk of the pod's own: copied from the store once, and verified on the way.

The folder is laid out as a store is: what is copied is written beside, brought to disk and renamed,
so that a server that starts again finds the whole model there, or none.
"""

import asyncio
import errno
import hashlib
import logging
import math
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Final

from olive_contract.artifact import ARTIFACT_FILE, CHUNK, Artifact, File
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.removal import delete
from olive_contract.store import Store
from olive_serve.logs import fields

log = logging.getLogger(__name__)

KEY: Final = re.compile("[0-9a-f]{64}")
MIB: Final = 1 << 20
BESIDE: Final = MIB
"""Bytes for what a disk needs besides the files' contents: folders, last blocks, artifact.json."""


class LocalCopy:
    """One artifact of ``store`` at a time, in a folder that nobody else writes to.

    It never takes more than ``limit`` bytes, where there is one: the kubelet evicts a pod whose
    emptyDir has grown above its size limit, and the next pod would be evicted again.
    """

    def __init__(self, store: Store, folder: Path, limit: int | None) -> None:
        self._store = store
        self._local = Store(folder)
        self._limit = limit
        self._stopped = threading.Event()

    async def open(self, key: str) -> Path:
        """The folder of the artifact's copy, which is made if it is not there.

        What was copied of another artifact is removed: no engine runs now that could use it. Raises
        StageFailure. Cancelled, it lets the copying end after the next piece.
        """
        try:
            return await asyncio.to_thread(self._open, key)
        except asyncio.CancelledError:
            self._stopped.set()
            raise

    def _open(self, key: str) -> Path:
        try:
            self._clear(key)
            if not self._is_whole(key):
                self._copy(key, self._store.record(key))
        except OSError as error:
            raise StageFailure(
                FailureClass.STAGE_ERROR, f"it cannot be copied to {self._local.root}: {error}"
            ) from error
        return self._local.path(key)

    def _clear(self, key: str) -> None:
        """Remove copies of other artifacts, and what was begun; what is not ours stays."""
        self._local.root.mkdir(parents=True, exist_ok=True)
        copies = (p for p in self._local.root.iterdir() if KEY.fullmatch(p.name))
        others = [path for path in copies if path.name != key]
        for path in (*others, *self._local.leftovers(before=math.inf)):
            delete(path)

    def _is_whole(self, key: str) -> bool:
        """Whether a copy from before is there and good; a damaged one is removed."""
        if not self._local.path(key).exists():
            return False
        try:
            self._local.open(key)
        except StageFailure as failure:
            log.warning("local copy damaged", extra=fields(message=str(failure)))
            delete(self._local.path(key))
            return False
        return True

    def _copy(self, key: str, artifact: Artifact) -> None:
        if artifact.key != key:
            raise _unreadable(key, f"its {ARTIFACT_FILE} is another's")
        sources = [self._source(key, file) for file in artifact.files]
        self._look_for_room(artifact)
        noted = {"key": key, "folder": str(self._local.root), "bytes": artifact.size}
        log.info("model is being copied", extra=fields(**noted))
        begin = time.monotonic()
        try:
            with self._local.building(key) as folder:
                for file, source in zip(artifact.files, sources, strict=True):
                    self._copy_file(key, file, source, folder / file.path)
                self._local.commit(folder, artifact)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._no_room(artifact, "was full before its end") from error
            raise
        seconds = round(time.monotonic() - begin, 3)
        log.info("model copied", extra=fields(**noted, seconds=seconds))

    def _source(self, key: str, file: File) -> Path:
        """The file in the store, as far as can be said without reading it."""
        folder = self._store.path(key).resolve()
        path = (folder / file.path).resolve()
        if not path.is_relative_to(folder) or ".." in Path(file.path).parts:
            raise _unreadable(key, f"{file.path} leads out of it")
        if not path.is_file():
            raise _unreadable(key, f"{file.path} is absent")
        if path.stat().st_size != file.size:
            raise _unreadable(key, f"{file.path} is not what was written")
        return path

    def _look_for_room(self, artifact: Artifact) -> None:
        room = shutil.disk_usage(self._local.root).free
        if self._limit is not None:
            room = min(room, self._limit)
        if artifact.size + BESIDE > room:
            raise self._no_room(artifact, f"has room for {room // MIB} MiB")

    def _no_room(self, artifact: Artifact, found: str) -> StageFailure:
        needed = math.ceil((artifact.size + BESIDE) / MIB)
        return StageFailure(
            FailureClass.DISK_FULL,
            f"its local copy takes {needed} MiB, and {self._local.root} {found}; raise "
            "serve.localCopy.sizeLimit, make room on the node's disk, or leave localCopy out",
        )

    def _copy_file(self, key: str, file: File, source: Path, target: Path) -> None:
        """Every byte is hashed between its one reading and its one writing."""
        target.parent.mkdir(parents=True, exist_ok=True)
        hashed, chunk = hashlib.sha256(), memoryview(bytearray(CHUNK))
        with source.open("rb", buffering=0) as reading, target.open("xb") as writing:
            while size := reading.readinto(chunk):
                if self._stopped.is_set():
                    raise StageFailure(FailureClass.CANCELLED, "the server stops")
                hashed.update(chunk[:size])
                writing.write(chunk[:size])
        if hashed.hexdigest() != file.sha256:
            raise _unreadable(key, f"{file.path} is not what was written")


def _unreadable(key: str, why: str) -> StageFailure:
    return StageFailure(
        FailureClass.INPUT_MISSING, f"artifact {key[:12]} cannot be read: {why}", missing=key
    )
