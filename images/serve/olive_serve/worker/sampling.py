"""From the logits of one position to the next token, as one request wants it.

The order is vLLM's: penalties, the grammar, temperature, min-p, top-k, top-p, then a draw. Log
probabilities are of the distribution after penalties and grammar, at temperature 1, before anything
is cut off it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from olive_serve.sampling_params import SamplingParams
from olive_serve.worker.grammar import Grammar

Logits = NDArray[np.float32]
_LARGEST: Final = 1e15
"""A tiny penalty or temperature must not make a logit infinite: nothing could be drawn then."""


@dataclass(frozen=True)
class Scores:
    """Natural logarithms: the chosen token's, and the likeliest tokens' with theirs."""

    chosen: float
    top: tuple[tuple[int, float], ...]


class Sampler:
    """One answer's draws. Deterministic for a seed, whatever else is computed beside it."""

    def __init__(
        self, params: SamplingParams, prompt: list[int], grammar: Grammar | None = None
    ) -> None:
        self._params = params
        self._grammar = grammar
        self._random = np.random.default_rng(None if params.seed is None else params.seed % 2**64)
        self._output: Counter[int] = Counter()
        self._prompt = np.unique(np.array(prompt, np.int64))

    def pick(self, logits: Logits) -> tuple[int, Scores | None]:
        """The next token. ``logits`` (vocabulary,) is changed in place."""
        params = self._params
        if params.plain and self._grammar is None:
            return int(logits.argmax()), None
        self._penalize(logits)
        if self._grammar is not None:
            self._grammar.restrict(logits)
        logprobs = _log_softmax(logits) if params.logprobs is not None else None
        token = int(logits.argmax()) if params.greedy else self._draw(logits)
        self._output[token] += 1
        if self._grammar is not None:
            self._grammar.take(token)
        if logprobs is None or params.logprobs is None:
            return token, None
        return token, Scores(float(logprobs[token]), _likeliest(logprobs, params.logprobs))

    def _penalize(self, logits: Logits) -> None:
        params = self._params
        for token, bias in params.logit_bias:
            logits[token] += bias
        if params.repetition_penalty != 1:
            penalty = max(params.repetition_penalty, 1 / _LARGEST)
            seen = np.union1d(self._prompt, np.array([*self._output], np.int64))
            of_seen = logits[seen]
            logits[seen] = np.where(of_seen > 0, of_seen / penalty, of_seen * penalty)
        if self._output and (params.presence_penalty or params.frequency_penalty):
            tokens = np.fromiter(self._output.keys(), np.int64)
            counts = np.fromiter(self._output.values(), np.float32)
            logits[tokens] -= params.presence_penalty + params.frequency_penalty * counts
        np.clip(logits, -_LARGEST, _LARGEST, out=logits)

    def _draw(self, logits: Logits) -> int:
        """A token of what the cuts leave, by its probability."""
        params = self._params
        logits /= params.temperature
        tokens, kept = _cut(logits, params)
        weights = np.exp(kept - kept.max())
        edges = np.cumsum(weights, dtype=np.float64)
        at = np.searchsorted(edges, self._random.random() * edges[-1], side="right")
        return int(tokens[min(int(at), len(tokens) - 1)])


def _cut(logits: Logits, params: SamplingParams) -> tuple[NDArray[np.int64], Logits]:
    """The tokens that min-p, top-k and top-p leave, and their logits."""
    tokens = np.arange(len(logits))
    if params.min_p > 0:
        tokens = np.flatnonzero(logits >= logits.max() + np.log(params.min_p))
    if 0 < params.top_k < len(tokens):
        tokens = tokens[np.argpartition(-logits[tokens], params.top_k - 1)[: params.top_k]]
    if params.top_p < 1:
        tokens = tokens[np.argsort(-logits[tokens], kind="stable")]
        weights = np.exp(logits[tokens] - logits[tokens[0]])
        kept = np.cumsum(weights) - weights < params.top_p * weights.sum()
        kept[0] = True  # the likeliest, however small top_p is
        tokens = tokens[kept]
    return tokens, logits[tokens]


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum(dtype=np.float64)), np.float32)


def _likeliest(logprobs: Logits, count: int) -> tuple[tuple[int, float], ...]:
    if count == 0:
        return ()
    best = np.argpartition(-logprobs, count - 1)[:count]
    best = best[np.argsort(-logprobs[best], kind="stable")]
    best = best[np.isfinite(logprobs[best])]  # what the grammar forbids is no alternative
    return tuple((int(token), float(logprobs[token])) for token in best)
