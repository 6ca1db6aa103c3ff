"""A training's losses: whether they diverge, and the curve that the artifact keeps. Pure."""

import math
import statistics
from collections import deque
from collections.abc import Sequence

WINDOW = 20
"""Steps that are looked at together: the losses of single steps are noise."""

TIMES, MORE = 3.0, 1.0
POINTS = 500


class Losses:
    """The losses of consecutive steps, in nats a token.

    They diverge when the median of the last WINDOW steps is above three times the lowest such
    median plus one nat, and above the median of the first WINDOW steps. Noisy data and a few bad
    steps stay far below that; a learning rate that destroys the model does not come back from it.
    """

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=WINDOW)
        self._first = self._lowest = math.inf

    def diverge(self, loss: float) -> bool:
        """Whether, with this step's loss, the training has gone wrong for good."""
        if not math.isfinite(loss):
            return True
        self._last.append(loss)
        if len(self._last) < WINDOW:
            return False
        median = statistics.median(self._last)
        if self._first == math.inf:
            self._first = median
        self._lowest = min(self._lowest, median)
        return median > max(TIMES * self._lowest + MORE, self._first)


def curve(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most POINTS of the (step, loss) pairs, evenly spread; the last is always among them."""
    every = math.ceil(len(losses) / POINTS) or 1
    return list(losses[::-1][::every][::-1])
