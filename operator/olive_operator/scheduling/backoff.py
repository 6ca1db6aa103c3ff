"""How long to wait before something that failed is tried again."""

import random


class Backoff:
    """Twice as long after each failure, up to ``longest`` seconds, a random half of it left out.

    The jitter keeps many that failed together from coming back together.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self.failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Seconds until the next try; ``at_least`` is what the other side has asked for."""
        whole = min(self._first * 2.0 ** min(self.failures, 30), self._longest)
        self.failures += 1
        return at_least + whole * random.uniform(0.5, 1)  # noqa: S311

    def reset(self) -> None:
        """It has worked."""
        self.failures = 0
