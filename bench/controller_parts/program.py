"""The bench's own programs, each a process beside the bench."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


class Program:
    """``python -m controller_parts.NAME``; it works from when it has written its first line."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"controller_parts.{name}", *arguments],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
        )
        self.lines: Iterator[bytes] = iter(self._process.stdout or ())
        if next(self.lines, None) is None:
            sys.exit(f"{name} has ended")

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
