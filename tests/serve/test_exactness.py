"""Greedy answers of the batching engine against onnxruntime-genai, one request at a time.

Random mixes of prompts, adapters, lengths, arrivals and cancels. Where activations are float32, an
answer is genai's token for token. Where they are int8, as in the default export, a last bit of a
product may fall on the other side of a rounding, and there the exception is: a token may be another
one whose logit is within ``BOUND`` of genai's best, judged at the very same text.
"""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime_genai as og
import pytest
import random_model
import tiny_model
from random_model import FLOAT_ACTIVATIONS, INT8_ACTIVATIONS
from tokenizers import Tokenizer

from olive_serve.engine import GenerationRequest
from olive_serve.messages import Event, Finished, Started, Token
from olive_serve.sampling_params import SamplingParams
from olive_serve.worker import native
from olive_serve.worker.engine import BatchEngine

BOUND: Final = 0.01
"""Of the spread between the largest and the smallest logit."""
RANKS: Final = (4, 16, 24, 40)
GREEDY: Final = SamplingParams(temperature=0.0, logprobs=0)


@dataclass
class Wanted:
    """A request, when it comes (after so many turns), and when its reader leaves."""

    prompt: str
    adapter: int | None
    limit: int
    arrives: int
    leaves: int | None
    tokens: list[int] = field(default_factory=list)


TOKENIZER: Final = Tokenizer.from_str(json.dumps(tiny_model.tokenizer()))


def mix(seed: int, count: int) -> list[Wanted]:
    """Requests that begin alike in part, with any adapter or none."""
    draw = random.Random(seed)  # noqa: S311
    beginnings = ["".join(draw.choices("abcdefgh ", k=length)) for length in (5, 40, 120)]
    wanted = []
    for _ in range(count):
        rest = "".join(draw.choices("ijklmnop", k=draw.randint(1, 60)))
        wanted.append(
            Wanted(
                prompt=draw.choice(["", *beginnings]) + rest,
                adapter=draw.choice([None, *range(len(RANKS))]),
                limit=draw.randint(1, 40),
                arrives=draw.randint(0, 60),
                leaves=draw.choice([None, None, None, draw.randint(0, 80)]),
            )
        )
    return wanted


def answer(engine: BatchEngine, wanted: list[Wanted]) -> int:
    """Play the mix; each request's ``tokens``. How many prompt tokens were known already."""
    cached = 0
    ids: dict[int, Wanted] = {}

    def take(event: Event) -> None:
        nonlocal cached
        match event:
            case Token(id, _, _, logprobs) if logprobs is not None:
                ids[id].tokens.append(logprobs.chosen.id)
            case Started(_, known):
                cached += known
            case Finished() | Token():
                pass
            case _:
                raise AssertionError(event)

    turn = 0
    while engine.busy or any(w.arrives >= turn for w in wanted):
        for number, each in enumerate(wanted):
            if each.arrives == turn:
                ids[number] = each
                key = None if each.adapter is None else f"a{each.adapter}"
                prompt = tuple(TOKENIZER.encode(each.prompt).ids)
                engine.submit(number, GenerationRequest(prompt, key, each.limit, GREEDY))
            if each.leaves == turn:
                engine.cancel(number)
        engine.turn(take)
        turn += 1
    return cached


class Reference:
    """onnxruntime-genai with the same files."""

    def __init__(self, folder: Path) -> None:
        self._model = og.Model(str(folder))
        self._tokenizer = og.Tokenizer(self._model)
        self._adapters = og.Adapters(self._model)
        for number in range(len(RANKS)):
            self._adapters.load(str(folder / f"a{number}.onnx_adapter"), f"a{number}")

    def begin(self, wanted: Wanted) -> og.Generator:
        params = og.GeneratorParams(self._model)
        params.set_search_options(max_length=random_model.CONTEXT, do_sample=False)
        generator = og.Generator(self._model, params)
        if wanted.adapter is not None:
            generator.set_active_adapter(self._adapters, f"a{wanted.adapter}")
        generator.append_tokens(self._tokenizer.encode(wanted.prompt))
        return generator

    def tokens(self, wanted: Wanted, count: int) -> list[int]:
        """So many tokens, each the likeliest."""
        generator, found = self.begin(wanted), []
        for _ in range(count):
            generator.generate_next_token()
            found.append(int(generator.get_next_tokens()[0]))
        return found

    def worst(self, wanted: Wanted) -> float:
        """How far the worst of the request's tokens is from the best, in spreads of the logits."""
        generator, worst = self.begin(wanted), 0.0
        for token in wanted.tokens:
            logits = np.asarray(generator.get_logits()).reshape(-1)[-random_model.VOCAB :]
            worst = max(worst, float((logits.max() - logits[token]) / np.ptp(logits)))
            generator.append_tokens([token])
        return worst


def engine_of(folder: Path) -> BatchEngine:
    engine = BatchEngine(folder, threads=2, max_model_len=random_model.CONTEXT, max_running=6)
    for number in range(len(RANKS)):
        engine.load_adapter(f"a{number}", folder / f"a{number}.onnx_adapter")
    return engine


@pytest.mark.parametrize("seed", range(3))
def test_float_activations_give_genais_tokens_one_for_one(tmp_path: Path, seed: int) -> None:
    folder = random_model.write(tmp_path / "m", accuracy=FLOAT_ACTIVATIONS, adapters=RANKS)
    wanted, reference = mix(seed, 30), Reference(folder)
    assert answer(engine_of(folder), wanted) > 0, "beginnings were reused"
    for each in wanted:
        assert each.tokens == reference.tokens(each, len(each.tokens)), each
    whole = [w for w in wanted if w.leaves is None]
    assert all(len(w.tokens) == w.limit or w.tokens[-1] == random_model.VOCAB - 1 for w in whole)


@pytest.mark.parametrize("own_products", [False, True], ids=["ONNX Runtime's", "ours"])
@pytest.mark.parametrize("seed", range(3))
def test_int8_activations_give_tokens_that_genai_finds_as_likely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, own_products: bool
) -> None:
    if own_products and not native.multiplies():
        pytest.skip("this processor has no AVX-512 VNNI")
    monkeypatch.setattr(native, "multiplies", lambda: own_products)
    folder = random_model.write(tmp_path / "m", accuracy=INT8_ACTIVATIONS, adapters=RANKS)
    wanted, reference = mix(seed, 30), Reference(folder)
    answer(engine_of(folder), wanted)
    assert max(reference.worst(each) for each in wanted) <= BOUND
