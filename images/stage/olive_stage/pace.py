"""Progress of work in steps of about equal length: how many are done, and when the last will be."""

import time

from olive_stage.console import progress


class Pace:
    """``total`` steps of a kind (``layer``) that take the stage from ``start`` to ``end`` percent.

    The clock starts with the object.
    """

    def __init__(self, what: str, total: int, start: float, end: float) -> None:
        self.what, self.total, self.start, self.end = what, total, start, end
        self.done = 0
        self._began = time.monotonic()

    def step(self) -> None:
        """One more is done: a progress line."""
        self.done += 1
        share = self.done / self.total
        remaining = (time.monotonic() - self._began) * (1 / share - 1)
        message = f"{self.what} {self.done} of {self.total}"
        progress(self.start + (self.end - self.start) * share, remaining, message=message)
