"""Answers that follow a grammar: which tokens may come next (llguidance)."""

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

Logits = NDArray[np.float32]


class Grammar:
    """One answer's way through a grammar. What cannot go on raises ValueError."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._check()

    def restrict(self, logits: Logits) -> None:
        """Leave only what may come next; ``logits`` (vocabulary,) is changed in place."""
        allowed = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8)
        self._check()
        logits[: len(allowed)][allowed[: len(logits)] == 0] = -np.inf
        logits[len(allowed) :] = -np.inf

    def take(self, token: int) -> None:
        """This came next."""
        self._matcher.consume_token(token)
        self._check()

    def copy(self) -> "Grammar":
        """Another way from the same place."""
        return Grammar(self._matcher.deep_copy())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ValueError(self._matcher.get_error())


class Grammars:
    """Grammars over the tokens of one model.

    ``vocabulary``: how many logits it has. ``ends``: the tokens that end an answer.
    """

    def __init__(self, tokenizer: Tokenizer, *, vocabulary: int, ends: frozenset[int]) -> None:
        known = [token for token in sorted(ends) if token < tokenizer.get_vocab_size()]
        self._tokenizer = LLTokenizer(
            tokenizer.to_str(), n_vocab=vocabulary, eos_token=known or None
        )

    def begin(self, grammar: str) -> Grammar:
        """At the beginning of an answer. Raises ValueError for what is no grammar."""
        return Grammar(LLMatcher(self._tokenizer, grammar, log_level=0))
