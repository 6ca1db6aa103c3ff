"""quantize by each algorithm: what it leaves, what it says on the way, what it says it cost."""

import json
from pathlib import Path
from typing import Any

import pytest
import small_models
import torch
from conftest import Fetched
from lab import EXPORT, TEMPLATE, Lab
from planted import plant
from safetensors.torch import load_file
from torch.nn.functional import kl_div

from olive_contract.stage import Progress
from olive_stage.calibration import batches
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.onnx_model import OnnxModel
from olive_stage.rows import read_rows
from olive_stage.template import parse

ROWS = small_models.rows(20, 30)
CALIBRATION = {"template": "{text}", "samples": 16, "maxLength": 24}
TOKENS = sum(min(len(row), 24) for row in ROWS[:16])


def params(algorithm: str, **changes: Any) -> dict[str, Any]:
    needed = {} if algorithm == "rtn" else {"calibration": CALIBRATION}
    return {"algorithm": algorithm, "precision": "int4", "groupSize": 32, **needed, **changes}


@pytest.fixture(params=["llama", "phi3"])
def model(lab: Lab, request: pytest.FixtureRequest) -> str:
    """A model with separate and one with fused projections."""
    small_models.make(lab.sources / "team" / "model", request.param)
    return lab.make("fetch", {"what": "model", "source": "pvc://team/model"})


def rows(lab: Lab) -> str:
    lines = [f'{{"text": "{" ".join(map(str, row))}"}}\n' for row in ROWS]
    source = lab.claim("rows.jsonl", "".join(lines))
    return lab.make("fetch", {"what": "data", "source": source, "template": "{text}"})


def quantized(lab: Lab, algorithm: str, model: str, **changes: Any) -> str:
    inputs = {} if algorithm == "rtn" else {"calibration": rows(lab)}
    return lab.make("quantize", params(algorithm, **changes), model=model, **inputs)


def told(log: str) -> list[Progress]:
    return [found for line in log.splitlines() if (found := Progress.from_line(line))]


@pytest.mark.parametrize("algorithm", ["awq", "gptq", "rtn"])
def test_every_linear_layer_is_packed_and_nothing_else(
    lab: Lab, model: str, algorithm: str
) -> None:
    before = load_file(lab.store.path(model) / "model.safetensors")
    key = quantized(lab, algorithm, model)
    after = load_file(lab.store.path(key) / "model.safetensors")
    layers = [name.removesuffix(".weight") for name in before if name.endswith("_proj.weight")]
    assert {name for name in after if name.endswith(".qweight")} == {f"{n}.qweight" for n in layers}
    assert {name for name in before if name not in after} == {f"{n}.weight" for n in layers}
    assert torch.equal(after["lm_head.weight"], before["lm_head.weight"])
    assert after[f"{layers[0]}.scales"].shape[1] * 32 == before[f"{layers[0]}.weight"].shape[1]
    artifact = lab.artifact(key)
    assert artifact.about["quantization"] == "olive"
    assert artifact.about["layers"] == artifact.metrics["linearLayers"] == len(layers)
    assert artifact.about["remoteCode"] is False


@pytest.mark.parametrize("algorithm", ["awq", "gptq", "rtn"])
def test_what_it_cost_is_said(lab: Lab, model: str, algorithm: str) -> None:
    metrics = lab.artifact(quantized(lab, algorithm, model)).metrics
    assert 0.05 < metrics["weightError"] < 0.2
    assert metrics["compression"] > 1
    said = (metrics.get("calibrationRows"), metrics.get("calibrationTokens"))
    assert said == ((None, None) if algorithm == "rtn" else (16, TOKENS))


@pytest.mark.parametrize(
    ("algorithm", "last"), [("awq", "layer 2 of 2"), ("gptq", "linear layer {all} of {all}")]
)
def test_progress_is_told_layer_by_layer(
    lab: Lab, model: str, algorithm: str, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = quantized(lab, algorithm, model)
    lines = [line for line in told(capsys.readouterr().out) if "layer" in line.message]
    assert lines[-1].message == last.format(all=lab.artifact(key).about["layers"])
    assert lines[-1].remainingSeconds == 0
    assert [line.percent for line in lines] == sorted({line.percent for line in lines})


def test_the_weight_error_is_that_of_the_file(lab: Lab, model: str) -> None:
    key = quantized(lab, "rtn", model)
    before = load_file(lab.store.path(model) / "model.safetensors")
    after = load_file(lab.store.path(key) / "model.safetensors")
    errors = []
    for name in (name for name in after if name.endswith(".qweight")):
        weight, packed = before[name.replace("qweight", "weight")], after[name]
        scales = after[name.replace("qweight", "scales")].repeat_interleave(32, dim=1)
        rounded = torch.empty_like(weight)
        rounded[:, 0::2] = (packed & 15).float() - 8
        rounded[:, 1::2] = (packed >> 4).float() - 8
        errors.append(float((rounded * scales - weight).norm() / weight.norm()))
    said = lab.artifact(key).metrics["weightError"]
    assert said == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_the_graph_of_an_awq_model_computes_what_its_checkpoint_does(lab: Lab, model: str) -> None:
    key = quantized(lab, "awq", model)
    graph = lab.make("export", {**EXPORT, "head": "fp16"}, model=key)
    row = ROWS[0]
    with torch.no_grad():
        expected = load_model(lab.store.path(key))(torch.tensor([row])).logits[0]
    got = torch.from_numpy(OnnxModel(lab.store.path(graph)).logits(row))
    assert (got - expected).norm() < 0.03 * expected.norm()


def test_fewer_rows_than_asked_for_are_said(
    lab: Lab, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = quantized(lab, "awq", model, calibration={**CALIBRATION, "samples": 99})
    assert lab.artifact(key).metrics["calibrationRows"] == 20
    assert "99 samples were asked for; the data has no more" in capsys.readouterr().out


def test_calibration_keeps_the_predictions_closer_than_rounding_alone(
    shared: Lab, fetched: Fetched
) -> None:
    """On rows that were not calibrated with: the reason for which anybody takes the trouble."""
    calibration = {"template": TEMPLATE, "samples": 32, "maxLength": 64}
    data = shared.store.path(fetched.travel)
    texts = [parse(TEMPLATE).render(row) for row in read_rows(data, parse(TEMPLATE))[32:64]]
    exact = predictions(shared, fetched.model, texts)

    def divergence(algorithm: str) -> float:
        changes = {} if algorithm == "rtn" else {"calibration": calibration}
        inputs = {} if algorithm == "rtn" else {"calibration": fetched.travel}
        asked = params(algorithm, **changes)
        key = shared.make("quantize", asked, model=fetched.model, **inputs)
        found = predictions(shared, key, texts)
        return float(kl_div(found, exact, log_target=True, reduction="batchmean"))

    found = {algorithm: divergence(algorithm) for algorithm in ("rtn", "awq", "gptq")}
    assert found["awq"] < found["rtn"]
    assert found["gptq"] < found["rtn"]


def predictions(lab: Lab, key: str, texts: list[str]) -> torch.Tensor:
    """Logarithms of the next token's probabilities, at every token of the texts."""
    tokenizer, model = load_tokenizer(lab.store.path(key)), load_model(lab.store.path(key))
    with torch.no_grad():
        logits = [model(tokenizer(text, return_tensors="pt").input_ids).logits[0] for text in texts]
    return torch.cat(logits).log_softmax(-1)


OWN_CODE = """
import transformers

class OwnConfig(transformers.LlamaConfig):
    model_type = "own"

class LlamaForCausalLM(transformers.LlamaForCausalLM):
    config_class = OwnConfig
"""
AUTO_MAP = {
    "AutoConfig": "modeling_own.OwnConfig",
    "AutoModelForCausalLM": "modeling_own.LlamaForCausalLM",
}


@pytest.mark.parametrize("algorithm", ["awq", "rtn"])
def test_a_model_with_code_of_its_own_is_quantized_where_that_is_trusted(
    lab: Lab, algorithm: str
) -> None:
    def model(folder: Path) -> None:
        small_models.make(folder, "llama")
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "own", "auto_map": AUTO_MAP}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "modeling_own.py").write_text(OWN_CODE)

    inputs = {"model": plant(lab, "model", model, remoteCode=True)}
    if algorithm != "rtn":
        inputs["calibration"] = rows(lab)
    code, report, log = lab.finish(lab.start(lab.input("quantize", params(algorithm), **inputs)))
    assert (code, report.outcome) == (0, "Succeeded"), log
    artifact = lab.artifact(report.key)
    assert artifact.about["remoteCode"] is True
    assert "modeling_own.py" in {file.path for file in artifact.files}


@pytest.mark.parametrize(
    ("lengths", "tokens", "shapes", "padded"),
    [
        pytest.param([4, 4, 4, 4], 8, [(2, 4), (2, 4)], False, id="rows of one length"),
        pytest.param([3, 5, 4], 15, [(3, 5)], True, id="padded to the longest"),
        pytest.param([2, 9, 9], 9, [(1, 9), (1, 9), (1, 2)], False, id="alone, no padding"),
        pytest.param([9], 4, [(1, 9)], False, id="a row longer than a batch"),
    ],
)
def test_rows_of_like_length_share_a_batch(
    lengths: list[int], tokens: int, shapes: list[tuple[int, int]], padded: bool
) -> None:
    found = batches([[7] * length for length in lengths], tokens)
    assert [tuple(batch["input_ids"].shape) for batch in found] == shapes
    assert ["loss_mask" in batch for batch in found] == [padded] * len(found)
    assert sum(int((batch["input_ids"] == 7).sum()) for batch in found) == sum(lengths)
    if padded:
        assert sum(int(batch["loss_mask"].sum()) for batch in found) == sum(lengths)
