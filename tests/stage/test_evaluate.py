"""What an evaluation measures: answers by words, perplexity, and both models' change."""

import numpy as np
import pytest
from conftest import Chain, Fetched
from lab import EVALUATE, EXPORT, RTN, TEMPLATE, Lab

from olive_contract.failures import FailureClass
from olive_stage.answers import exact_match, f1
from olive_stage.perplexity import Perplexity, nll

REFERENCE = {**EVALUATE, "samples": 6}


@pytest.mark.parametrize(
    ("answer", "expected", "score"),
    [
        pytest.param("the Eiffel Tower", "Eiffel Tower", 1.0, id="articles do not count"),
        pytest.param("Paris.", "paris", 1.0, id="nor do case and punctuation"),
        pytest.param("in Paris", "Paris", 2 / 3, id="a word too many"),
        pytest.param("Paris Paris", "Paris", 2 / 3, id="a word twice counts once"),
        pytest.param("Rome", "Paris", 0.0, id="nothing shared"),
        pytest.param("", "Paris", 0.0, id="no answer"),
        pytest.param("the", "a", 1.0, id="nothing was expected and nothing said"),
    ],
)
def test_f1_is_the_share_of_words_that_both_have(answer: str, expected: str, score: float) -> None:
    assert f1(answer, expected) == pytest.approx(score)


def test_an_exact_match_takes_case_and_punctuation_seriously() -> None:
    assert [exact_match(said, "Paris") for said in (" Paris\n", "paris", "Paris.")] == [1, 0, 0]


def test_perplexity_of_a_model_that_knows_nothing_is_its_vocabulary() -> None:
    perplexity = Perplexity()
    perplexity.add(np.zeros((3, 50), np.float32), [1, 2, 3])
    perplexity.add(np.zeros((1, 50), np.float16), [49])
    assert perplexity.value == pytest.approx(50)


def test_a_likelihood_is_computed_where_its_exponential_overflows() -> None:
    logits = np.array([[1e4, 1e4, -1e4]], np.float32)
    assert nll(logits, [0]) == pytest.approx(np.log(2))


@pytest.fixture(scope="session")
def tiny(shared: Lab, fetched: Fetched) -> str:
    """The tiny model in int4, exported without anything trained."""
    return shared.make("export", EXPORT, model=shared.make("quantize", RTN, model=fetched.model))


def test_the_originals_perplexity_is_that_of_transformers_own_loss(
    shared: Lab, fetched: Fetched
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from olive_stage.rows import read_rows, split
    from olive_stage.template import parse

    key = shared.make("reference", REFERENCE, model=fetched.model, data=fetched.travel)
    found = shared.artifact(key)
    folder, form = shared.store.path(fetched.model), parse(TEMPLATE)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    _, held = split(read_rows(shared.store.path(fetched.travel), form), 0.1, 0)
    nats, tokens = 0.0, 0
    for row in held[:6]:
        ids = tokenizer(form.render(row), add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            nats += model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    assert found.metrics["tokens"] == tokens
    assert found.metrics["rows"] == 6
    assert found.metrics["perplexity"] == pytest.approx(np.exp(nats / tokens), rel=0.02)


def test_the_bare_base_is_held_against_its_original(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    reference = shared.make("reference", REFERENCE, model=fetched.model, data=fetched.travel)
    inputs = {"base": rtn.base, "adapter": rtn.adapter, "data": fetched.travel}
    report = shared.run("evaluate", REFERENCE, reference=reference, **inputs)
    metrics = report.metrics
    original = shared.artifact(reference).metrics["perplexity"]
    assert metrics["originalPerplexity"] == original
    assert metrics["perplexityChange"] == metrics["basePerplexity"] / original - 1
    assert -0.2 < metrics["perplexityChange"] < 0.2
    assert metrics["perplexity"] < 0.5 * metrics["basePerplexity"]
    assert metrics["f1"] >= metrics["exactMatch"] > metrics["baseExactMatch"] == 0
    assert 0 < metrics["baseF1"] < 0.5


def test_other_tokens_than_the_originals_are_not_compared(
    shared: Lab, fetched: Fetched, tiny: str
) -> None:
    other = {**REFERENCE, "maxLength": 20}
    reference = shared.make("reference", other, model=fetched.model, data=fetched.travel)
    inputs = {"base": tiny, "data": fetched.travel, "reference": reference}
    report = shared.run("evaluate", {**REFERENCE, "samples": 6}, **inputs)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "their tokenizers differ; set evaluate.reference to false" in report.message


def test_a_base_alone_is_measured_on_all_rows_up_to_samples(
    shared: Lab, fetched: Fetched, tiny: str
) -> None:
    params = {**EVALUATE, "evalSplit": 0.0, "samples": 3}
    key = shared.make("evaluate", params, base=tiny, data=fetched.travel)
    found = shared.read(key, "evaluation.json")
    assert (found["rows"], found["heldOut"]) == (3, False)
    metrics = shared.artifact(key).metrics
    for name in ("perplexity", "exactMatch", "f1", "tokensPerSecond", "timeToFirstTokenSeconds"):
        assert metrics[name] == metrics[f"base{name[0].upper()}{name[1:]}"]
    assert metrics["sizeBytes"] == shared.artifact(tiny).size


def test_a_template_that_asks_nothing_gives_perplexity_and_speed(
    shared: Lab, fetched: Fetched, tiny: str
) -> None:
    params = {**EVALUATE, "template": "{response}", "evalSplit": 0.0, "samples": 2}
    metrics = shared.run("evaluate", params, base=tiny, data=fetched.travel).metrics
    assert metrics["perplexity"] > 1
    assert metrics["tokensPerSecond"] > 0
    assert "f1" not in metrics


def test_an_adapter_converted_for_another_export_is_refused(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    other = shared.make("export", {**EXPORT, "head": "int4"}, model=rtn.quantized)
    inputs = {"base": other, "adapter": rtn.adapter, "data": fetched.travel}
    report = shared.run("evaluate", {**EVALUATE, "samples": 1}, **inputs)
    assert report.reason is FailureClass.INVALID_INPUT
    assert f"converted for export {rtn.base[:12]}, not for {other[:12]}" in report.message


def test_the_model_is_loaded_once_for_both_measurements(
    shared: Lab, fetched: Fetched, rtn: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olive_stage import onnx_model

    loads = []
    load = onnx_model._session
    monkeypatch.setattr(onnx_model, "_session", lambda *a: loads.append(a) or load(*a))
    inputs = {"base": rtn.base, "adapter": rtn.adapter, "data": fetched.travel}
    shared.make("evaluate", {**EVALUATE, "samples": 1, "seed": 1}, **inputs)
    assert len(loads) == 1
