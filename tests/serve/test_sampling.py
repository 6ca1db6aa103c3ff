"""From logits to tokens: what each parameter does to a small distribution."""

import math
from collections import Counter

import numpy as np
import pytest

from olive_serve.sampling_params import SamplingParams
from olive_serve.worker.sampling import Sampler

PROBABILITIES = (0.5, 0.25, 0.15, 0.1)
LOGITS = np.log(np.array(PROBABILITIES, np.float32))


def drawn(params: SamplingParams, count: int = 4000) -> dict[int, float]:
    """How often each token is drawn when none depends on another."""
    sampler = Sampler(params, [])
    found = Counter(sampler.pick(LOGITS.copy())[0] for _ in range(count))
    return {token: found[token] / count for token in sorted(found)}


def with_seed(**params: float) -> SamplingParams:
    return SamplingParams(seed=7, **params)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param(with_seed(), PROBABILITIES, id="as they are"),
        pytest.param(with_seed(temperature=0.0), (1.0,), id="greedy"),
        pytest.param(
            with_seed(temperature=0.5),
            tuple(p * p / sum(q * q for q in PROBABILITIES) for p in PROBABILITIES),
            id="a low temperature sharpens",
        ),
        pytest.param(with_seed(top_k=2), (2 / 3, 1 / 3), id="top_k"),
        pytest.param(with_seed(top_p=0.5), (1.0,), id="top_p takes the fewest that reach it"),
        pytest.param(with_seed(top_p=0.6), (2 / 3, 1 / 3), id="top_p takes what crosses it"),
        pytest.param(with_seed(min_p=0.25), (5 / 9, 2.5 / 9, 1.5 / 9), id="min_p"),
        pytest.param(with_seed(top_k=3, top_p=0.6), (2 / 3, 1 / 3), id="top_k, then top_p"),
    ],
)
def test_tokens_are_drawn_by_what_is_left_of_their_probabilities(
    params: SamplingParams, expected: tuple[float, ...]
) -> None:
    found = drawn(params)
    assert list(found) == list(range(len(expected)))
    for token, probability in enumerate(expected):
        deviation = 4 * math.sqrt(probability * (1 - probability) / 4000)
        assert found[token] == pytest.approx(probability, abs=deviation + 1e-9)


@pytest.mark.parametrize(
    ("params", "prompt", "tokens"),
    [
        pytest.param({"frequency_penalty": 0.4}, [], [0, 0, 1], id="frequency: each time more"),
        pytest.param({"presence_penalty": 0.4}, [], [0, 0, 0], id="presence: once"),
        pytest.param({"presence_penalty": 0.8}, [], [0, 1, 0], id="presence: enough for another"),
        pytest.param({"repetition_penalty": 3.0}, [0], [1, 2, 0], id="repetition: the prompt too"),
        pytest.param({"logit_bias": ((3, 100.0),)}, [], [3, 3, 3], id="bias for"),
        pytest.param({"logit_bias": ((0, -100.0),)}, [], [1, 1, 1], id="bias against"),
    ],
)
def test_penalties_and_biases_change_what_is_likeliest(
    params: dict[str, object], prompt: list[int], tokens: list[int]
) -> None:
    sampler = Sampler(SamplingParams(temperature=0.0, **params), prompt)  # type: ignore[arg-type]
    assert [sampler.pick(LOGITS.copy())[0] for _ in tokens] == tokens


def test_a_seed_draws_the_same_again_and_another_does_not() -> None:
    def ten(seed: int) -> list[int]:
        sampler = Sampler(SamplingParams(seed=seed), [])
        return [sampler.pick(LOGITS.copy())[0] for _ in range(10)]

    assert ten(1) == ten(1)
    assert len({tuple(ten(seed)) for seed in range(5)}) > 1
    assert ten(-1) == ten(-1), "OpenAI's seeds may be negative"


def test_logprobs_are_the_models_whatever_is_cut_off() -> None:
    sampler = Sampler(SamplingParams(temperature=0.3, top_k=1, logprobs=2), [])
    token, scores = sampler.pick(LOGITS.copy())
    assert token == 0
    assert scores is not None
    assert math.exp(scores.chosen) == pytest.approx(0.5)
    assert [(id, round(math.exp(p), 3)) for id, p in scores.top] == [(0, 0.5), (1, 0.25)]


@pytest.mark.parametrize(
    "extreme",
    [{"repetition_penalty": 5e-324}, {"temperature": 1.1e-5, "repetition_penalty": 1e-30}],
)
def test_the_smallest_penalty_still_leaves_something_to_draw(extreme: dict[str, float]) -> None:
    sampler = Sampler(SamplingParams(min_p=1.0, top_p=1e-300, **extreme), [0, 1, 2])
    token, _ = sampler.pick(np.array([3.0, 2.0, -1.0, 0.5], np.float32))
    assert token in (0, 1)
