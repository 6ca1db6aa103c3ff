"""Commands: each writes a log, and a failure holds its end."""

import fcntl
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / ".build" / "demo"
TAIL = 25
"""Lines of a log that a failure shows."""

Tell = Callable[[str], None]

_STAMP = re.compile(r"^\s*[\d.]+s  ")


class DemoError(Exception):
    """What went wrong and what to do, for a person; ``log`` is the end of the log that tells."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


@contextmanager
def alone(tell: Tell) -> Iterator[None]:
    """Let one demo of this tree at a time do its work."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with BUILD.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another demo is at work here; waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def call(
    command: Sequence[str | Path],
    log: str,
    *,
    tell: Tell | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command and return its stdout. What it says on stderr goes to the log, and to ``tell``.

    DemoError with the log's end if it fails.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{log}.log"
    words = [str(word) for word in command]
    with path.open("a") as lines:
        lines.write(f"$ {' '.join(words)}\n")
        try:
            process = subprocess.Popen(
                words,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except FileNotFoundError:
            raise DemoError(f"`{words[0]}` is not installed, or not on the PATH") from None
        said: list[str] = []
        reader = threading.Thread(target=_listen, args=(process.stderr, lines, said, tell))
        reader.start()
        if process.stdin and stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        assert process.stdout is not None  # noqa: S101 - it is a pipe, see above
        out = process.stdout.read()
        reader.join()
        lines.write(out)
    if (code := process.wait()) != 0:
        end = "\n".join([*out.splitlines(), *said][-TAIL:])
        shown = " ".join(words[:6]) + (" …" if len(words) > 6 else "")
        raise DemoError(f"`{shown}` ended with {code}; all it said is in {_short(path)}", end)
    return out


def _listen(stream: IO[str], lines: IO[str], said: list[str], tell: Tell | None) -> None:
    for line in stream:
        lines.write(line)
        lines.flush()
        said.append(line.rstrip())
        if tell and line.strip():
            tell(_STAMP.sub("", line.rstrip()))  # the demo has a clock of its own


def _short(path: Path) -> Path:
    return path.relative_to(ROOT)
