"""Exports of every kind: heads, tied embeddings, a GPU's graph, a graph that a workflow made."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Chain, Fetched
from lab import EVALUATE, EXPORT, RTN, Lab, finetune
from onnx import numpy_helper

from olive_contract.artifact import Artifact, describe
from olive_contract.failures import FailureClass

ROWS = [[5, 9, 14, 300, 41, 7, 88, 120, 600, 33], list(range(100, 140))]
CUDA = {"device": "gpu", "provider": "CUDAExecutionProvider"}


@pytest.fixture(scope="session")
def tied(shared: Lab, fetched: Fetched) -> str:
    """A Llama of two layers whose head is its embeddings, in bfloat16."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=896,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    folder = shared.sources / "demo" / "tied"
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(shared.store.path(fetched.model)).save_pretrained(folder)
    return shared.make("fetch", {"what": "model", "source": "pvc://demo/tied"})


@pytest.fixture(params=["own head", "tied"])
def quantized(request: pytest.FixtureRequest, shared: Lab, fetched: Fetched) -> str:
    """A model in int4: with a head of its own, and with one that is its embeddings."""
    own = request.param == "own head"
    model = fetched.model if own else request.getfixturevalue("tied")
    return shared.make("quantize", RTN, model=model)


@pytest.fixture(scope="session")
def tiny(shared: Lab, fetched: Fetched) -> str:
    """The tiny Phi-3 in int4."""
    return shared.make("quantize", RTN, model=fetched.model)


def changed(
    shared: Lab,
    key: str,
    copy: str,
    change: Callable[[Path], None],
    about: dict[str, Any] | None = None,
) -> str:
    """A copy of this artifact as a workflow's, changed, under another key."""
    import shutil

    with shared.store.building(copy) as out:
        shutil.copytree(shared.store.path(key), out, dirs_exist_ok=True)
        (out / "artifact.json").unlink()
        change(out)
        artifact = Artifact(copy, "workflow", {}, {}, describe(out), about=about or {})
        shared.store.commit(out, artifact)
    return copy


def graph_of(shared: Lab, key: str) -> onnx.GraphProto:
    return onnx.load(shared.store.path(key) / "model.onnx").graph


def head_nodes(graph: onnx.GraphProto) -> list[tuple[str, int]]:
    """Operator and bits of what computes the logits."""
    return [
        (node.op_type, next((a.i for a in node.attribute if a.name == "bits"), 0))
        for node in graph.node
        if "logits" in node.output
    ]


def logits(shared: Lab, key: str) -> np.ndarray[Any, Any]:
    from olive_stage.onnx_model import OnnxModel

    model = OnnxModel(shared.store.path(key))
    return np.concatenate([model.logits(row) for row in ROWS])


def original_logits(shared: Lab, key: str) -> np.ndarray[Any, Any]:
    """What the checkpoint computes in float32."""
    import torch

    from olive_stage.checkpoint import load_model

    model = load_model(shared.store.path(key), torch.float32, "cpu").eval()
    with torch.no_grad():
        return np.concatenate([model(torch.tensor([row])).logits[0].numpy() for row in ROWS])


def error(wanted: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    return float(np.linalg.norm(wanted - found) / np.linalg.norm(wanted))


@pytest.mark.parametrize(
    ("head", "computed_by", "largest_error"),
    [
        pytest.param("int4", ("MatMulNBits", 4), 0.25, id="int4"),
        pytest.param("int8", ("MatMulNBits", 8), 0.03, id="int8"),
        pytest.param("fp16", ("MatMul", 0), 0.03, id="fp16"),
    ],
)
def test_the_head_is_of_the_type_asked_for_and_the_blocks_stay_as_they_are(
    shared: Lab, quantized: str, head: str, computed_by: tuple[str, int], largest_error: float
) -> None:
    from safetensors.numpy import load_file

    key = shared.make("export", {**EXPORT, "head": head}, model=quantized)
    graph = graph_of(shared, key)
    assert head_nodes(graph) == [computed_by]
    assert shared.artifact(key).about["head"] == head
    weights = {i.name: i for i in graph.initializer}
    packed = load_file(shared.store.path(quantized) / "model.safetensors")
    compared = 0
    for name, weight in packed.items():
        exported = weights.get(
            name.replace("self_attn", "attn").replace(".qweight", ".MatMulNBits.qweight")
        )
        if name.endswith(".qweight") and exported is not None:
            assert numpy_helper.to_array(exported).tobytes() == weight.tobytes()
            compared += 1
    assert compared >= 4
    assert error(original_logits(shared, quantized), logits(shared, key)) < largest_error


def test_a_float16_head_takes_half_of_float32s_bytes_and_is_held_once(
    shared: Lab, tied: str
) -> None:
    quantized = shared.make("quantize", RTN, model=tied)
    key = shared.make("export", {**EXPORT, "head": "fp16"}, model=quantized)
    wide = [i for i in graph_of(shared, key).initializer if 896 in i.dims]
    assert [(i.data_type, list(i.dims)) for i in wide] == [(onnx.TensorProto.FLOAT16, [64, 896])]


def test_int8_activations_are_asked_for_on_a_cpu_and_float_ones_on_a_gpu(
    shared: Lab, tiny: str
) -> None:
    def levels(key: str) -> set[int]:
        return {
            next((a.i for a in node.attribute if a.name == "accuracy_level"), 0)
            for node in graph_of(shared, key).node
            if node.op_type == "MatMulNBits"
        }

    assert levels(shared.make("export", EXPORT, model=tiny)) == {4}
    exact = {**EXPORT, "activations": "float32"}
    assert levels(shared.make("export", exact, model=tiny)) == {1, 4}, "4 is the int8 head's"
    assert levels(shared.make("export", {**EXPORT, **CUDA}, model=tiny)) == {0}


def test_a_gpus_graph_computes_in_float16_and_so_do_its_adapters(
    shared: Lab, fetched: Fetched, tiny: str
) -> None:
    import onnxruntime as ort

    key = shared.make("export", {**EXPORT, **CUDA}, model=tiny)
    graph = graph_of(shared, key)
    kinds = {i.name: i.type.tensor_type.elem_type for i in [*graph.input, *graph.output]}
    assert kinds["logits"] == onnx.TensorProto.FLOAT16
    lora = {kind for name, kind in kinds.items() if ".lora_" in name}
    assert lora == {onnx.TensorProto.FLOAT16}
    assert {site["element"] for site in shared.artifact(key).about["lora"]} == {"float16"}
    assert error(original_logits(shared, tiny), logits(shared, key)) < 0.03

    adapter = shared.make("adapter", {}, base=key, adapter=plain_adapter(shared))
    file = shared.store.path(adapter) / "adapter.onnx_adapter"
    values = ort.AdapterFormat.read_adapter(str(file)).get_parameters().values()
    assert {value.data_type() for value in values} == {"tensor(float16)"}
    inputs = {"base": key, "adapter": adapter, "data": fetched.travel}
    report = shared.run("evaluate", {**EVALUATE, "samples": 2}, **inputs)
    assert report.metrics["perplexity"] != report.metrics["basePerplexity"] > 1
    assert "tokensPerSecond" not in report.metrics


def test_a_float_model_for_a_gpu_is_loaded_but_not_computed(
    shared: Lab, fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olive_stage import export

    monkeypatch.setattr(export, "OnnxModel", None)
    params = {**EXPORT, **CUDA, "precision": "fp16", "head": None}
    key = shared.make("export", params, model=fetched.model)
    assert head_nodes(graph_of(shared, key)) == [("MatMul", 0)]


def test_a_graph_whose_weights_are_not_there_does_not_pass_the_check(
    shared: Lab, tiny: str, tmp_path: Path
) -> None:
    import shutil

    from olive_stage.export import check

    folder = tmp_path / "export"
    shutil.copytree(shared.store.path(shared.make("export", EXPORT, model=tiny)), folder)
    (folder / "model.onnx.data").write_bytes(b"")
    for computes in (True, False):
        with pytest.raises(Exception, match="External initializer"):
            check(folder, computes)


def test_a_model_that_the_builder_does_not_know_is_refused_by_name(shared: Lab, tiny: str) -> None:
    def rename(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["architectures"] = ["NewForCausalLM"]
        (folder / "config.json").write_text(json.dumps(config))

    model = changed(shared, tiny, "f" * 64, rename, {"architecture": "NewForCausalLM"})
    report = shared.run("export", EXPORT, model=model)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "onnxruntime-genai's builder cannot export NewForCausalLM" in report.message


def plain_adapter(shared: Lab) -> str:
    """A fetched LoRA on the tiny model's fused attention, filled with noise."""
    from safetensors.numpy import save_file

    folder = shared.sources / "demo" / "noise"
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    path = "base_model.model.model.layers.0.self_attn.qkv_proj"
    tensors = {
        f"{path}.lora_A.weight": random.standard_normal((4, 256)).astype(np.float32),
        f"{path}.lora_B.weight": random.standard_normal((512, 4)).astype(np.float32),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 4,
        "base_model_name_or_path": "someone/tiny",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return shared.make("fetch", {"what": "adapter", "source": "pvc://demo/noise"})


@pytest.fixture(scope="session")
def built(shared: Lab, fetched: Fetched) -> str:
    """What a workflow that ends with onnxruntime-genai's builder leaves: its projections fused."""
    from onnxruntime_genai.models.builder import create_model, parse_extra_options

    key = "b" * 64
    with shared.store.building(key) as out:
        model, cache = str(shared.store.path(fetched.model)), str(shared.root / "cache")
        where = ("", model, str(out), "int4", "cpu", cache)
        create_model(*where, **parse_extra_options(*where, ["hf_token=false"]))
        shared.store.commit(out, Artifact(key, "workflow", {}, {}, describe(out)))
    return key


def test_a_built_graph_is_taken_as_it_is(shared: Lab, built: str) -> None:
    before = shared.artifact(built).files
    key = shared.make("export", EXPORT, model=built)
    source, out = shared.store.path(built), shared.store.path(key)
    assert (out / "model.onnx.data").read_bytes() == (source / "model.onnx.data").read_bytes()
    assert (out / "model.onnx.data").stat().st_nlink == 1, "ONNX Runtime would not serve it"
    assert shared.artifact(built).files == before == describe(source)
    np.testing.assert_array_equal(logits(shared, key), logits(shared, built))


def test_projections_that_were_fused_take_an_adapter_for_fused_ones(
    shared: Lab, built: str
) -> None:
    key = shared.make("export", EXPORT, model=built)
    names = {site["name"].split(".")[-1] for site in shared.artifact(key).about["lora"]}
    assert names == {"qkv_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert shared.make("adapter", {}, base=key, adapter=plain_adapter(shared))


def test_an_export_that_comes_from_elsewhere_is_taken_as_it_is_adapters_and_all(
    shared: Lab, rtn: Chain
) -> None:
    claim = shared.sources / "team" / "published"
    shutil.copytree(shared.store.path(rtn.base), claim, ignore=shutil.ignore_patterns("artifact*"))
    model = shared.make("fetch", {"what": "model", "source": "pvc://team/published"})
    key = shared.make("export", EXPORT, model=model)
    first, again = shared.store.path(rtn.base), shared.store.path(key)
    assert (again / "model.onnx").read_bytes() == (first / "model.onnx").read_bytes()
    assert shared.artifact(key).about["lora"] == shared.artifact(rtn.base).about["lora"]
    np.testing.assert_array_equal(logits(shared, key), logits(shared, rtn.base))
    assert shared.make("adapter", {}, base=key, adapter=plain_adapter(shared))


@pytest.mark.parametrize(("kind", "params"), [("quantize", RTN), ("finetune", finetune())])
def test_an_export_is_neither_quantized_nor_trained(
    shared: Lab, rtn: Chain, fetched: Fetched, kind: str, params: dict[str, Any]
) -> None:
    data = {"data": fetched.travel} if kind == "finetune" else {}
    report = shared.run(kind, params, model=rtn.base, **data)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "the model is an ONNX one" in report.message


def test_an_export_that_is_not_whole_is_refused(lab: Lab) -> None:
    lab.claim("half/genai_config.json", "{}")
    lab.claim("half/tokenizer.json", "{}")
    report = lab.run("fetch", {"what": "model", "source": "pvc://team/half"})
    assert report.reason is FailureClass.SOURCE_NOT_FOUND
    assert "is a model for onnxruntime-genai, but lacks model.onnx" in report.message


def rename_nodes(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for node in model.graph.node:
        node.name = node.name.replace("/model/layers", "/decoder/blocks")
    onnx.save(model, folder / "model.onnx")


def test_a_graph_with_other_names_is_exported_and_refuses_adapters(shared: Lab, built: str) -> None:
    base = shared.make("export", EXPORT, model=changed(shared, built, "d" * 64, rename_nodes))
    assert shared.artifact(base).about["lora"] == []
    report = shared.run("adapter", {}, base=base, adapter=plain_adapter(shared))
    assert report.reason is FailureClass.INVALID_INPUT
    assert "the base takes no adapters" in report.message


def test_a_built_graph_without_its_tokenizer_is_refused(shared: Lab, built: str) -> None:
    broken = changed(shared, built, "c" * 64, lambda out: (out / "tokenizer.json").unlink())
    report = shared.run("export", EXPORT, model=broken)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "lacks tokenizer.json" in report.message


def test_a_float_model_from_a_workflow_is_exported_as_float(shared: Lab, fetched: Fetched) -> None:
    model = changed(shared, fetched.model, "e" * 64, lambda out: None)
    base = shared.make("export", EXPORT, model=model)
    assert shared.artifact(base).about["head"] == "fp32"
    assert error(original_logits(shared, fetched.model), logits(shared, base)) < 1e-3
