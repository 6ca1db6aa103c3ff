"""Standard output: progress lines for the operator, and the last ordinary lines for a failure."""

import sys
from collections import deque
from typing import TextIO

from olive_contract.stage import Progress

KEPT_LINES = 20


class Tail:
    """A text stream that passes everything on and remembers the last lines."""

    def __init__(self, stream: TextIO, lines: deque[str]) -> None:
        self._stream = stream
        self._lines = lines
        self._open = ""

    def write(self, text: str) -> int:
        *complete, self._open = (self._open + text).split("\n")
        for line in complete:
            shown = line.rsplit("\r", 1)[-1].strip()  # a progress bar rewrites its line
            if shown and not shown.startswith('{"progress"'):
                self._lines.append(shown)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def keep_tail() -> deque[str]:
    """From now on remember the last lines of standard output and error; the lines, as they come."""
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    sys.stdout = Tail(sys.stdout, lines)
    sys.stderr = Tail(sys.stderr, lines)
    return lines


def say(message: str) -> None:
    """An ordinary log line."""
    print(message, flush=True)


def progress(
    percent: float, remaining: float | None = None, loss: float | None = None, message: str = ""
) -> None:
    """One progress line: percent of this stage, seconds still to go, the training's loss."""
    line = Progress(
        percent=max(0, min(100, int(percent))),
        remainingSeconds=None if remaining is None else round(remaining),
        loss=None if loss is None else round(loss, 4),
        message=message,
    ).to_line()
    print(line, flush=True)
