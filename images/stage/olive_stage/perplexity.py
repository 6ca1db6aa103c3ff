"""Perplexity: the exponential of the mean negative log-likelihood of the tokens predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from olive_stage.work import invalid


@dataclass
class Perplexity:
    """What was measured so far: nats lost, and tokens predicted."""

    nats: float = 0.0
    tokens: int = 0

    def add(self, logits: npt.NDArray[Any], targets: Sequence[int]) -> None:
        """Logits (tokens, vocabulary), and the tokens (tokens) that came."""
        self.nats += nll(logits, targets)
        self.tokens += len(targets)

    @property
    def value(self) -> float:
        if not self.tokens:
            raise invalid("the rows are one token long; there is nothing to predict")
        return float(np.exp(self.nats / self.tokens))


def nll(logits: npt.NDArray[Any], targets: Sequence[int]) -> float:
    """Summed negative log-likelihood in nats; logits (tokens, vocabulary), targets (tokens)."""
    wide = logits.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    total = np.log(np.exp(wide - top).sum(axis=1)) + top[:, 0]
    return float((total - wide[np.arange(len(targets)), targets]).sum())
