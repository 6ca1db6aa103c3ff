"""Removing what lies on a volume: first out of sight in one step, then file by file.

Links are removed, never followed.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def aside(path: Path, into: Path, name: str) -> Path | None:
    """A new folder in ``into``, called like ``name``, that holds now what was at the path.

    None if nothing was there. Both are on one file system.
    """
    if not os.path.lexists(path):
        return None
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=into))
    with suppress(FileNotFoundError):  # another has just done it
        os.rename(path, folder / "removed")
    fsync(path.parent)
    return folder


def delete(path: Path) -> None:
    """Delete a folder with all that is in it, a file or a link. OSError if something resists."""
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def last_written(path: Path) -> float:
    """When anything at or below the path was last written to (Unix time).

    What goes away while it is looked at is being written to now.
    """
    try:
        times = [path.lstat().st_mtime]
        if _is_folder(path):
            for parent, folders, files in os.walk(path):
                times += (os.lstat(os.path.join(parent, n)).st_mtime for n in (*folders, *files))
    except FileNotFoundError:
        return float("inf")
    return max(times)


def fsync(path: Path) -> None:
    """The file, or the folder's list of names, is on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
