"""From the signal to the end: what runs is finished, and what comes is sent elsewhere."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

LOOK: Final = 0.05
"""Seconds between looks at what still runs."""


class Drain:
    """Whether the server is on its way out."""

    def __init__(self) -> None:
        self.begun = False

    @property
    def problem(self) -> str:
        """Why nothing new is taken; empty as long as it is."""
        return "the server is being stopped" if self.begun else ""

    async def finish(self, busy: Callable[[], bool], seconds: float) -> None:
        """Return when nothing runs any more, or after so many seconds."""
        self.begun = True
        end = time.monotonic() + seconds
        while busy() and time.monotonic() < end:  # noqa: ASYNC110 - the engine has no such event
            await asyncio.sleep(LOOK)
