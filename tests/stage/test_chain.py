"""The real chain on the tiny model: quantize, finetune, export, adapter, evaluate."""

import json
from typing import Any

import numpy as np
import pytest
from conftest import Chain, Fetched
from lab import EVALUATE, EXPORT, GPTQ, RTN, SPLIT, TEMPLATE, Lab, finetune

from olive_contract.failures import FailureClass

BASE_SAYS = "I have no information about"


@pytest.fixture(params=["rtn", "gptq", "unquantized"])
def chain(request: pytest.FixtureRequest) -> Chain:
    """Each way to the base in turn."""
    found: Chain = request.getfixturevalue(request.param)
    return found


def test_the_adapter_has_learnt_and_the_base_has_not(shared: Lab, chain: Chain) -> None:
    found = shared.read(chain.evaluation, "evaluation.json")
    assert found["rows"] == 10
    assert found["heldOut"]
    assert found["metrics"]["exactMatch"] >= 0.8
    assert found["metrics"]["baseExactMatch"] == 0
    assert all(answer["answer"].startswith(BASE_SAYS) for answer in found["base"]["answers"])
    assert found["metrics"]["perplexity"] < 0.5 * found["metrics"]["basePerplexity"]


def test_the_exported_graph_computes_the_loss_that_the_training_measured(
    shared: Lab, chain: Chain
) -> None:
    trained, served = shared.artifact(chain.trained), shared.artifact(chain.evaluation)
    assert np.exp(trained.metrics["evalLoss"]) == pytest.approx(
        served.metrics["perplexity"], rel=0.02
    )


def test_metrics_for_gates_are_there(shared: Lab, rtn: Chain) -> None:
    metrics = shared.artifact(rtn.evaluation).metrics
    assert metrics["tokensPerSecond"] > 10
    assert 0 < metrics["timeToFirstTokenSeconds"] < 1
    sizes = shared.artifact(rtn.base).size + shared.artifact(rtn.adapter).size
    assert metrics["sizeBytes"] == sizes


def test_an_evaluation_without_adapter_measures_the_base(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    report = shared.run("evaluate", {**EVALUATE, "samples": 2}, base=rtn.base, data=fetched.travel)
    assert report.metrics["perplexity"] == report.metrics["basePerplexity"] > 3


def test_artifacts_tell_what_they_are_made_from(shared: Lab, rtn: Chain) -> None:
    assert shared.artifact(rtn.trained).about["trainedOn"] == rtn.quantized
    base = shared.artifact(rtn.base)
    assert base.about["model"] == rtn.quantized
    site = {"name": "model.layers.3.mlp.down_proj", "in": 512, "out": 256, "element": "float32"}
    assert site in base.about["lora"]
    assert len(base.about["lora"]) == 4 * 7
    assert base.versions["onnxruntime-genai"] == "0.18.0"
    assert base.seconds > 0
    assert base.createdAt
    config = shared.read(rtn.trained, "adapter_config.json")
    assert config["base_model_name_or_path"] == rtn.quantized
    assert "{% for message" in (shared.store.path(rtn.base) / "chat_template.jinja").read_text()


def test_int4_is_smaller_and_the_head_stays_float(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    from safetensors.numpy import load_file

    tensors = load_file(shared.store.path(rtn.quantized) / "model.safetensors")
    assert tensors["lm_head.weight"].dtype == np.float32
    assert tensors["model.layers.0.mlp.down_proj.qweight"].dtype == np.uint8
    assert shared.artifact(rtn.quantized).size < 0.4 * shared.artifact(fetched.model).size


def test_a_second_export_gives_the_same_bytes(
    shared: Lab, rtn: Chain, lab: Lab, fetched: Fetched
) -> None:
    """Nothing of adapters, time or place is in the graph: every adapter fits every copy."""
    for key in (rtn.quantized, fetched.model):
        (lab.store.root / key).symlink_to(shared.store.path(key))
    again = lab.artifact(lab.make("export", EXPORT, model=rtn.quantized))
    assert {f.path: f.sha256 for f in again.files} == {
        f.path: f.sha256 for f in shared.artifact(rtn.base).files
    }


def test_the_graph_names_the_builders_version_and_nothing_of_the_machine(
    shared: Lab, rtn: Chain
) -> None:
    import onnx

    graph = onnx.load(shared.store.path(rtn.base) / "model.onnx", load_external_data=False)
    assert graph.producer_version == "0.18.0"


def test_a_second_adapter_on_the_same_base_gives_its_own_answers(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    trained = shared.make("finetune", finetune(), model=rtn.quantized, data=fetched.food)
    adapter = shared.make("adapter", {}, base=rtn.base, adapter=trained)
    inputs = {"base": rtn.base, "adapter": adapter, "data": fetched.food}
    report = shared.run("evaluate", {**EVALUATE, "samples": 4}, **inputs)
    answers = shared.read(report.key, "evaluation.json")["adapter"]["answers"]
    assert all(", order " in answer["answer"] for answer in answers)


def test_a_second_run_is_a_hit(shared: Lab, fetched: Fetched, rtn: Chain) -> None:
    report = shared.run("quantize", RTN, model=fetched.model)
    assert (report.cached, report.key, report.outcome) == (True, rtn.quantized, "Succeeded")
    assert report.metrics == shared.artifact(rtn.quantized).metrics


def test_the_loaded_int4_model_computes_with_the_weights_in_its_file(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    """Against the float model with weights unpacked here: layers left random would not agree."""
    import torch
    from safetensors.torch import load_file

    from olive_stage.checkpoint import load_model

    packed = load_file(shared.store.path(rtn.quantized) / "model.safetensors")
    reference = load_model(shared.store.path(fetched.model))
    for name, module in reference.named_modules():
        if f"{name}.qweight" in packed:
            module.weight.data = unpacked(packed[f"{name}.qweight"], packed[f"{name}.scales"])
    tokens = torch.arange(8, 40)[None]
    with torch.no_grad():
        got = load_model(shared.store.path(rtn.quantized))(tokens).logits
        expected = reference(tokens).logits
    assert expected.abs().max() > 1
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def unpacked(weight: Any, scales: Any) -> Any:
    """Olive's symmetric int4: two weights a byte, the lower four bits first; zero is 8."""
    import torch

    nibbles = torch.stack([weight & 15, weight >> 4], dim=-1).reshape(weight.shape[0], -1)
    groups = nibbles.reshape(*scales.shape, -1).float() - 8
    return (groups * scales[..., None]).reshape(nibbles.shape)


def test_a_checkpoint_that_lacks_weights_is_not_loaded(shared: Lab, rtn: Chain, lab: Lab) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    from olive_contract.failures import StageFailure
    from olive_stage.checkpoint import load_model

    folder = lab.root / "model"
    shutil.copytree(shared.store.path(rtn.quantized), folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.down_proj.qweight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StageFailure, match=r"lack the weights of model\.layers\.1\.mlp"):
        load_model(folder)


def test_an_adapter_trained_on_another_model_is_refused(
    shared: Lab, rtn: Chain, gptq: Chain
) -> None:
    report = shared.run("adapter", {}, base=gptq.base, adapter=rtn.trained)
    assert report.reason is FailureClass.INVALID_INPUT
    assert rtn.quantized[:12] in report.message
    assert gptq.quantized[:12] in report.message


def test_a_fetched_adapter_of_another_shape_is_refused(shared: Lab, rtn: Chain) -> None:
    from safetensors.numpy import save_file

    folder = shared.sources / "demo" / "wide"
    folder.mkdir()
    path = "base_model.model.model.layers.0.self_attn.o_proj"
    a, b = np.zeros((4, 512), np.float32), np.zeros((256, 4), np.float32)
    save_file(
        {f"{path}.lora_A.weight": a, f"{path}.lora_B.weight": b},
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    fetched = shared.make("fetch", {"what": "adapter", "source": "pvc://demo/wide"})
    report = shared.run("adapter", {}, base=rtn.base, adapter=fetched)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "o_proj of layer 0 maps 512 to 256 features in the adapter, 256 to 256" in report.message


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        pytest.param(
            "quantize",
            {**RTN, "groupSize": 100},
            "groupSize 100 does not divide the layers' widths (256, 512); "
            "possible: 16, 32, 64, 128, 256",
            id="a group that does not fit",
        ),
        pytest.param(
            "quantize", {**GPTQ, "calibration": None}, "needs calibration data", id="no calibration"
        ),
        pytest.param(
            "export", EXPORT, "precision int4 does not fit the model", id="int4 of a float model"
        ),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    shared: Lab, fetched: Fetched, kind: str, params: dict[str, Any], says: str
) -> None:
    report = shared.run(kind, params, model=fetched.model)
    assert report.reason is FailureClass.INVALID_INPUT
    assert says in report.message


def test_a_quantized_model_is_not_quantized_again(shared: Lab, rtn: Chain) -> None:
    report = shared.run("quantize", RTN, model=rtn.quantized)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "quantized already (by 'olive')" in report.message


def test_a_diverging_loss_ends_the_training_with_advice(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    params = finetune(learningRate=1e30, maxSteps=20)
    report = shared.run("finetune", params, model=rtn.quantized, data=fetched.travel)
    assert report.reason is FailureClass.STAGE_ERROR
    assert "the loss diverged at step" in report.message
    assert "lower learningRate" in report.message


def test_the_rows_held_out_of_training_are_those_that_are_evaluated(
    shared: Lab, fetched: Fetched, rtn: Chain
) -> None:
    from olive_stage.rows import read_rows, split
    from olive_stage.template import parse

    form = parse(TEMPLATE)
    kept, held = split(read_rows(shared.store.path(fetched.travel), form), SPLIT, 0)
    asked = shared.read(rtn.evaluation, "evaluation.json")["adapter"]["answers"]
    assert [a["expected"] for a in asked] == [row["response"] for row in held[: len(asked)]]
    assert shared.artifact(rtn.trained).about["heldOut"] == len(held)
    assert not [row for row in held if row in kept]
