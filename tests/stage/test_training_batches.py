"""What a step is made of: tokens, packing, order, targets; and how losses are judged. Pure."""

import random
from itertools import pairwise

import pytest
import torch
from loras import lora

from olive_contract.failures import StageFailure
from olive_stage import template
from olive_stage.batches import Tokens, in_order, pack, predicted, to_train_on, tokenize
from olive_stage.collate import IGNORED, collate
from olive_stage.fit import Fit
from olive_stage.losses import POINTS, WINDOW, Losses, curve

CPU = torch.device("cpu")


def letters(texts: list[str]) -> list[list[int]]:
    """A token a letter."""
    return [[ord(letter) for letter in text] for text in texts]


def test_rows_are_cut_and_those_that_predict_nothing_left_out() -> None:
    data = [{"a": "abcdef"}, {"a": ""}, {"a": "b"}, {"a": "cd"}]
    found = tokenize(data, template.parse("{a}"), letters, 4)
    assert found == Tokens(letters(["abcd", "cd"]), cut=1, short=2)
    assert found.count == 6


def test_rows_that_are_all_empty_are_refused() -> None:
    with pytest.raises(StageFailure, match="there is nothing to learn"):
        to_train_on(Tokens([], 0, 3), lora())


def test_packing_joins_whole_rows_and_loses_none() -> None:
    rows = [[n] * (2 + n % 5) for n in range(40)]
    packs = pack(rows, 12, seed=0)
    assert sorted(row for one in packs for row in one) == sorted(rows)
    lengths = [sum(map(len, one)) for one in packs]
    assert max(lengths) <= 12
    assert all(a + b > 12 for a, b in pairwise(lengths))  # no two neighbours would fit together
    assert pack(rows, 12, seed=1) != packs


def test_every_epoch_has_every_example_once_in_an_order_of_the_seed() -> None:
    examples = [[[n, n]] for n in range(10)]
    order = in_order(examples, 25, seed=3)
    assert len(order) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == examples
    assert order[:10] != order[10:20]
    assert order == in_order(examples, 25, seed=3)
    assert order != in_order(examples, 25, seed=4)
    assert order[:15] == in_order(examples, 15, seed=3)


def test_every_token_is_the_target_of_the_one_before_it() -> None:
    inputs, targets = collate([[[5, 6, 7]], [[8, 9]]], 0, CPU)
    assert inputs["input_ids"].tolist() == [[5, 6, 7], [8, 9, 0]]
    assert targets.tolist() == [[6, 7, IGNORED], [9, IGNORED, IGNORED]]
    assert "position_ids" not in inputs


def test_no_target_crosses_the_border_of_packed_rows() -> None:
    examples = [[[5, 6, 7], [8, 9]], [[3, 4]]]
    inputs, targets = collate(examples, 0, CPU)
    assert inputs["input_ids"].tolist() == [[5, 6, 7, 8, 9], [3, 4, 0, 0, 0]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 1, 2]]
    assert targets.tolist() == [
        [6, 7, IGNORED, 9, IGNORED],
        [4, IGNORED, IGNORED, IGNORED, IGNORED],
    ]
    assert predicted(examples) == int((targets != IGNORED).sum())


@pytest.mark.parametrize(
    ("fit", "steps"),
    [
        pytest.param(Fit(8, False, True), [(8, True), (4, True), (2, True), (1, True)], id="free"),
        pytest.param(Fit(5, False, False), [(3, False), (2, False), (1, False)], id="asked not to"),
        pytest.param(Fit(2, True, True), [(1, True)], id="recomputing already"),
        pytest.param(Fit(8, False, True, 1), [(2, True), (1, True)], id="one attempt ran out"),
        pytest.param(Fit(5, False, False, 1), [(2, False), (1, False)], id="and may not recompute"),
        pytest.param(Fit(8, False, True, 9), [], id="nothing is left to halve"),
    ],
)
def test_less_memory_is_asked_for_step_by_step(fit: Fit, steps: list[tuple[int, bool]]) -> None:
    for micro, recompute in steps:
        assert fit.less()
        assert (fit.micro, fit.recompute) == (micro, recompute)
        assert fit.micro * fit.accumulation >= fit.rows
    assert not fit.less()


def falling(steps: int) -> list[float]:
    return [0.3 + 2 * 0.97**n for n in range(steps)]


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(falling(200), id="a good training"),
        pytest.param([2.0] * 200, id="nothing learnt"),
        pytest.param([*falling(100), *[1e6] * 5, *[0.4] * 100], id="a few bad steps"),
        pytest.param([0.01] * 50 + [0.9] * 50, id="hard rows after easy ones"),
        pytest.param([9.0, *[0.1] * 30, *[1.2] * 30], id="worse, but better than at the start"),
    ],
)
def test_losses_that_do_not_diverge(losses: list[float]) -> None:
    found = Losses()
    assert not any(found.diverge(loss) for loss in losses)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_divergence(seed: int) -> None:
    """Single rows whose losses differ by a factor of ten are an ordinary small data set."""
    source = random.Random(seed)  # noqa: S311 - no secret
    found = Losses()
    losses = [source.lognormvariate(0, 1) * (0.5 + 0.99**n) for n in range(2000)]
    assert not any(found.diverge(loss) for loss in losses)


@pytest.mark.parametrize(
    ("losses", "within"),
    [
        pytest.param([*falling(100), float("nan")], 101, id="not a number"),
        pytest.param([*falling(3), float("inf")], 4, id="infinite"),
        pytest.param([*falling(100), *[11.0] * 50], 100 + WINDOW, id="up and never down"),
        pytest.param([2.0] * WINDOW + [10.4] * 50, 3 * WINDOW, id="destroyed after warm-up"),
    ],
)
def test_losses_that_diverge_are_found_soon(losses: list[float], within: int) -> None:
    found = Losses()
    steps = [step for step, loss in enumerate(losses, start=1) if found.diverge(loss)]
    assert steps
    assert steps[0] <= within


@pytest.mark.parametrize("count", [1, POINTS, POINTS + 1, 12_345])
def test_the_curve_is_thinned_and_keeps_its_end(count: int) -> None:
    losses = [(step, 1 / step) for step in range(1, count + 1)]
    found = curve(losses)
    assert len(found) <= POINTS
    assert found[-1] == losses[-1]
    assert set(found) <= set(losses)
    assert len({b - a for (a, _), (b, _) in pairwise(found)}) <= 1
