"""How a request wants its tokens chosen; the names and neutral values are vLLM's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingParams:
    """``temperature`` 0 takes the likeliest token always. ``top_k`` 0 cuts nothing.

    ``logprobs``: how many alternatives to tell of each token; None tells nothing.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None
    logprobs: int | None = None

    @property
    def greedy(self) -> bool:
        """Is it the likeliest token always? Below this temperature numbers overflow, as in vLLM."""
        return self.temperature < 1e-5

    @property
    def plain(self) -> bool:
        """Is the next token the model's likeliest one, and nothing else asked for?"""
        return (
            self.greedy
            and self.repetition_penalty == 1
            and self.presence_penalty == self.frequency_penalty == 0
            and not self.logit_bias
            and self.logprobs is None
        )
