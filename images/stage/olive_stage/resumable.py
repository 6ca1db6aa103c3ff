"""A folder to download into that a later attempt finds again; one attempt at a time has it.

Several may read one source at once: two stages over one address, or a pod whose node was given up
and lives on. The first has the folder and goes on where an earlier attempt stopped; the others
begin anew, each in a folder of its own.

Layout: ``.scratch/fetch-<key>/lock`` and ``files/``; a source's own file may be called ``lock``.
The prefix keeps it from ``Store.commit``, which removes ``.scratch/<key>`` without asking.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from olive_contract.store import Store

PREFIX = "fetch-"
LOCK = "lock"
FILES = "files"
TRIES = 100


@contextmanager
def resumable(store: Store, key: str, out: Path) -> Iterator[Path]:
    """The folder that belongs to ``key``; an empty one inside ``out`` if another attempt has that.

    It is removed at the end; after an error what is in the first kind stays for the next attempt.
    """
    held = _hold(store, key)
    if held is None:
        with tempfile.TemporaryDirectory(dir=out, ignore_cleanup_errors=True) as own:
            yield Path(own)
        return
    folder, lock = held
    (folder / FILES).mkdir(exist_ok=True)
    try:
        yield folder / FILES
    except Exception:  # not Cancelled: threads then write on until the process, and its lock, end
        os.close(lock)
        raise
    _remove(folder, lock)


def forget(store: Store, key: str) -> None:
    """Remove what attempts left of a source that is in the store now, unless one is at it."""
    if held := _hold(store, key):
        _remove(*held)


def _hold(store: Store, key: str) -> tuple[Path, int] | None:
    """The folder and its lock, held; None if it cannot be had."""
    for _ in range(TRIES):
        try:
            folder = store.scratch(f"{PREFIX}{key}")
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o664)
        except (FileNotFoundError, FileExistsError):  # its holder is just removing the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another attempt has it, or the file system knows no locks
            os.close(lock)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (folder / LOCK).stat()):
                return folder, lock
        os.close(lock)  # its holder removed it between the two: it holds nobody off
    return None


def _remove(folder: Path, lock: int) -> None:
    """The files under the lock, the lock last: whoever comes then makes another."""
    shutil.rmtree(folder / FILES, ignore_errors=True)
    (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # somebody came
        folder.rmdir()
    os.close(lock)
