"""MatMulNBits of our own beside ONNX Runtime's: the same rounding of activations, the same sums."""

from dataclasses import astuple
from typing import Any, Final

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from olive_serve.worker import native
from olive_serve.worker.packing import DOMAIN, Shape, packed_as

pytestmark = pytest.mark.skipif(
    not native.multiplies(), reason="this processor has no AVX-512 VNNI: ONNX Runtime multiplies"
)
CLOSE: Final = 1e-6
"""Of the largest result: what the order of a sum of floats may change."""
INT8_ACTIVATIONS: Final = 4


class Product:
    """Random weights of a shape, and both operators on them."""

    def __init__(self, shape: Shape) -> None:
        self.draw = np.random.default_rng(0)
        blocks, width = shape.blocks, shape.block * shape.bits // 8
        weights = self.draw.integers(0, 256, (shape.outputs, blocks, width), np.uint8)
        scales = self.draw.uniform(0.001, 0.02, (shape.outputs, blocks)).astype(np.float32)
        zeros = None
        if shape.own_zeros:
            size = (blocks * shape.bits + 7) // 8
            zeros = self.draw.integers(0, 256, (shape.outputs, size), np.uint8)
        given = {
            "weights": weights,
            "scales": scales,
            **({} if zeros is None else {"zeros": zeros}),
        }
        attributes = {"K": shape.inputs, "N": shape.outputs, "bits": shape.bits}
        self.shape = shape
        self.theirs = _session(
            "com.microsoft",
            given,
            **attributes,
            block_size=shape.block,
            accuracy_level=INT8_ACTIVATIONS,
        )
        packed = packed_as(shape, weights, scales, zeros)
        self.ours = _session(DOMAIN, {"packed": packed}, shape=[*map(int, astuple(shape))])

    def inputs(self, tokens: int) -> NDArray[np.float32]:
        drawn: NDArray[Any] = self.draw.standard_normal((1, tokens, self.shape.inputs))
        return drawn.astype(np.float32)


def _session(domain: str, given: dict[str, NDArray[Any]], **attributes: Any) -> Any:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y"))
    node = helper.make_node("MatMulNBits", ["x", *given], ["y"], domain=domain, **attributes)
    weights = [numpy_helper.from_array(value, name) for name, value in given.items()]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(domain, 1)]
    graph = helper.make_graph([node], "product", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(native.LIBRARY))
    session = ort.InferenceSession(model.SerializeToString(), options)
    return lambda inputs: session.run(None, {"x": inputs})[0]


@pytest.mark.parametrize("tokens", [1, 4, 5, 8, 9, 70])
@pytest.mark.parametrize("own_zeros", [False, True], ids=["symmetric", "zero points"])
@pytest.mark.parametrize("block", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("bits", [4, 8])
def test_results_are_onnx_runtimes(bits: int, block: int, own_zeros: bool, tokens: int) -> None:
    product = Product(Shape(768, 48, bits, block, own_zeros))
    inputs = product.inputs(tokens)
    wanted, found = product.theirs(inputs), product.ours(inputs)
    assert np.abs(found - wanted).max() <= CLOSE * np.abs(wanted).max()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_token_gets_the_same_to_the_last_bit_in_any_company(bits: int) -> None:
    product = Product(Shape(256, 32, bits, 32, False))
    inputs = product.inputs(21)
    together = product.ours(inputs)
    for token in range(21):
        alone = product.ours(inputs[:, token : token + 1])
        assert np.array_equal(alone[:, 0], together[:, token])


@pytest.mark.parametrize("shape", [(256,), (3, 256), (2, 2, 2, 256)], ids=str)
def test_inputs_may_have_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    product = Product(Shape(256, 32, 4, 32, False))
    inputs = product.draw.standard_normal(shape).astype(np.float32)
    found = product.ours(inputs)
    assert found.shape == (*shape[:-1], 32)
    assert np.array_equal(found.reshape(-1, 32), product.ours(inputs.reshape(-1, 256)))


def test_inputs_of_nothing_and_of_one_large_value() -> None:
    product = Product(Shape(64, 16, 4, 32, True))
    inputs = np.zeros((1, 2, 64), np.float32)
    inputs[0, 1, 5] = 3e30
    wanted, found = product.theirs(inputs), product.ours(inputs)
    assert not found[0, 0].any()
    assert np.abs(found - wanted).max() <= CLOSE * np.abs(wanted).max()


@pytest.mark.parametrize("tokens", [0, 1])
def test_inputs_of_another_width_are_refused(tokens: int) -> None:
    product = Product(Shape(64, 16, 4, 32, False))
    with pytest.raises(Exception, match="MatMulNBits: an input has not the size"):
        product.ours(np.zeros((1, tokens, 32), np.float32))
    assert product.ours(np.zeros((1, 0, 64), np.float32)).shape == (1, 0, 16)
