"""SIGTERM as a wish: what runs is finished first."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Stop:
    """As a context, in place of the usual handler, which interrupts. ``tell`` is called as well."""

    def __init__(self, tell: Callable[[], object] = lambda: None) -> None:
        self.asked = False
        self._tell = tell
        self._usual: Any = None

    def __enter__(self) -> "Stop":
        self._usual = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGTERM, self._usual)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True
        self._tell()
