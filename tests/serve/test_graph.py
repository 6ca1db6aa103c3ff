"""What the engine makes of an export before ONNX Runtime sees it."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import random_model
from random_model import FLOAT_ACTIVATIONS, HIDDEN, INNER, INT8_ACTIVATIONS, LAYERS, VOCAB

from olive_serve.worker.graph import BatchGraph, GraphRefused, batchable


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BatchGraph:
    folder = random_model.write(tmp_path_factory.mktemp("m") / "m", accuracy=INT8_ACTIVATIONS)
    return batchable(folder / "model.onnx", own_products=False)


def test_products_of_one_input_are_one(made: BatchGraph) -> None:
    found = onnx.load_from_string(made.onnx).graph
    count = Counter(node.op_type for node in found.node)
    assert count["MatMulNBits"] == 4 * LAYERS + 1, "qkv, out, gate and up, down; the head"
    assert count["LoraAdd"] == 4 * LAYERS
    assert count["Split"] == LAYERS, "attention reads q, k and v where they lie"
    assert not count["MatMul"]
    for node in found.node:
        if node.op_type == "GroupQueryAttention":
            assert list(node.input[1:3]) == ["", ""]


def test_every_place_for_a_lora_is_there_once_under_its_own_name(made: BatchGraph) -> None:
    assert len({site.a for site in made.sites}) == len(made.sites) == 7 * LAYERS
    used = [
        site
        for node in onnx.load_from_string(made.onnx).graph.node
        for attribute in node.attribute
        if attribute.name == "sites"
        for site in attribute.ints
    ]
    assert sorted(used) == list(range(7 * LAYERS))


def test_weights_lie_one_behind_the_other(made: BatchGraph) -> None:
    named = {name for name in made.weights if "gate_proj" in name}
    shapes = sorted(made.weights[name].shape for name in named)
    assert len(named) == 2 * LAYERS
    assert (2 * INNER, HIDDEN // 32, 16) in shapes
    assert all(np.count_nonzero(made.weights[name]) for name in named)


def test_a_graph_of_another_kind_is_refused(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([], "g", [value], [value])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "model.onnx"))
    with pytest.raises(GraphRefused, match="logits"):
        batchable(tmp_path / "model.onnx", own_products=False)


def products(folder: Path) -> Counter[str]:
    """How many there are in each domain."""
    made = batchable(folder / "model.onnx", own_products=True)
    found = onnx.load_from_string(made.onnx).graph
    named = {tensor.name for tensor in found.initializer}
    assert made.weights.keys() <= named, "ONNX Runtime is given no weights that it does not know"
    return Counter(node.domain for node in found.node if node.op_type == "MatMulNBits")


def test_products_with_int8_activations_are_ours(tmp_path: Path) -> None:
    folder = random_model.write(tmp_path / "m", accuracy=INT8_ACTIVATIONS)
    assert products(folder) == {"olive": 4 * LAYERS + 1}


def test_products_with_float_activations_stay_onnx_runtimes(tmp_path: Path) -> None:
    folder = random_model.write(tmp_path / "m", accuracy=FLOAT_ACTIVATIONS)
    assert products(folder) == {"com.microsoft": 4 * LAYERS + 1}


@pytest.mark.parametrize("outputs", [VOCAB - 8, VOCAB])
def test_a_head_whose_width_fills_no_vector_stays_onnx_runtimes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: int
) -> None:
    monkeypatch.setattr(random_model, "VOCAB", outputs)
    folder = random_model.write(tmp_path / "m", accuracy=INT8_ACTIVATIONS)
    assert products(folder)["com.microsoft"] == (0 if outputs == VOCAB else 1)


def test_nodes_without_names_and_weights_of_two_products_are_no_obstacle(tmp_path: Path) -> None:
    folder = random_model.write(tmp_path / "m", accuracy=INT8_ACTIVATIONS)
    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    before = [node for node in model.graph.node if node.op_type == "MatMulNBits"]
    for node in before:
        node.name = ""
    downs = [node for node in before if "down_proj" in node.output[0]]
    for node in downs[1:]:
        node.input[1:] = downs[0].input[1:]
    onnx.save(model, str(folder / "model.onnx"))
    assert products(folder) == {"olive": 4 * LAYERS + 1}
