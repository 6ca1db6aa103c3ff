"""One answer as it grows: its tokens, its text, and why it ends."""

from dataclasses import dataclass, field

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from olive_serve.engine import FinishReason, TokenLogprob, TokenLogprobs
from olive_serve.worker.rows import Row
from olive_serve.worker.sampling import Sampler, Scores
from olive_serve.worker.stop_strings import StopStrings


@dataclass(eq=False)
class Answer:
    """The choice ``index`` of a request. ``limit``: most tokens that it may have."""

    request: int
    index: int
    row: Row
    sampler: Sampler
    stops: StopStrings
    limit: int
    stream: DecodeStream = field(default_factory=lambda: DecodeStream(skip_special_tokens=True))
    made: int = 0
    last: int = 0
    reason: FinishReason | None = None

    def take(self, token: int, tokenizer: Tokenizer, ends: frozenset[int]) -> str:
        """One more token; the text that can be told now. Sets ``reason`` if it is the last one."""
        self.made += 1
        self.last = token
        if token in ends:
            self.reason = "stop"
            return self.stops.rest()
        text = self.stops.feed(self.stream.step(tokenizer, token) or "")
        if self.stops.found:
            self.reason = "stop"
        elif self.made >= self.limit:
            self.reason = "length"
            text += self.stops.rest()
        return text


def logprobs_of(token: int, scores: Scores, tokenizer: Tokenizer) -> TokenLogprobs:
    """The tokens as text, with what the model thought of them."""

    def told(id: int, logprob: float) -> TokenLogprob:
        return TokenLogprob(id, tokenizer.decode([id], skip_special_tokens=False), logprob)

    return TokenLogprobs(told(token, scores.chosen), tuple(told(*each) for each in scores.top))
