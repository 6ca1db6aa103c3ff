"""Weights that ONNX Runtime is given in memory: the graph names them, and no file has them."""

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]


def declare(
    graph: ir.Graph, weights: Weights, name: str, array: NDArray[Any], of: ir.DataType
) -> ir.Value:
    """A new weight; the graph names it as a file's, because one of more than 2 GB has no form in
    memory (protobuf)."""
    weights[name] = array
    declared = ir.ExternalTensor(
        "memory", 0, array.nbytes, of, shape=ir.Shape(array.shape), name=name
    )
    value = ir.Value(name=name, const_value=declared)
    graph.register_initializer(value)
    return value


def array_of(value: ir.Value, weights: Weights) -> NDArray[Any]:
    """The numbers of a weight, wherever they are."""
    if value.name in weights:
        return weights[value.name]
    assert value.const_value is not None  # noqa: S101 - the caller's to look at
    return value.const_value.numpy()


def drop(graph: ir.Graph, weights: Weights, value: ir.Value) -> None:
    """Forget a weight that nothing uses any more."""
    if not value.uses():
        graph.initializers.pop(str(value.name))
        weights.pop(str(value.name), None)
