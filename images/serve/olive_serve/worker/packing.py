"""Products of int4 or int8 weights become the MatMulNBits of our own (native/matmul_nbits.c).

Only where it computes the same as ONNX Runtime's operator: with activations rounded to int8 block
by block (accuracy_level 4), and widths that fill its vectors. All else stays ONNX Runtime's.
"""

from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.convenience import replace_nodes_and_values

from olive_serve.worker.weights import Weights, array_of, declare, drop

DOMAIN: Final = "olive"
COLUMNS: Final = 16
"""Columns side by side: the floats of a vector."""
_QUAD: Final = 4
"""Weights of a column that are multiplied at once."""
_INT8_ACTIVATIONS: Final = 4

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Shape:
    """What the operator has to know; its attribute of this name."""

    inputs: int
    outputs: int
    bits: int
    block: int
    own_zeros: bool

    @property
    def blocks(self) -> int:
        return self.inputs // self.block

    @property
    def groups(self) -> int:
        return self.outputs // COLUMNS


def pack(graph: ir.Graph, weights: Weights) -> None:
    """Replace what can be; ``weights`` are those that the graph names but no file has."""
    for node in list(graph):
        if (shape := _shape_of(node)) is not None:
            _replace(graph, node, shape, weights)


def _shape_of(node: ir.Node) -> Shape | None:
    """Of a product that ours computes the same, else None."""
    if node.op_type != "MatMulNBits" or node.domain == DOMAIN:
        return None
    at = {name: attribute.value for name, attribute in node.attributes.items()}
    weight, scales, zeros, *others = [*map(_type_of, node.inputs[1:]), *[None] * 5][:5]
    if at.get("accuracy_level") != _INT8_ACTIVATIONS or any(o is not None for o in others):
        return None
    if (weight, scales) != (ir.DataType.UINT8, ir.DataType.FLOAT):
        return None
    if zeros not in (None, ir.DataType.UINT8):
        return None
    shape = Shape(at["K"], at["N"], at.get("bits", 4), at["block_size"], zeros is not None)
    whole = shape.outputs % COLUMNS == shape.inputs % shape.block == shape.block % 16 == 0
    return shape if whole and shape.bits in (4, 8) else None


def _type_of(value: ir.Value | None) -> ir.DataType | None:
    """Of a weight; undefined where it is none."""
    if value is None:
        return None
    return value.const_value.dtype if value.const_value else ir.DataType.UNDEFINED


def _replace(graph: ir.Graph, node: ir.Node, shape: Shape, weights: Weights) -> None:
    given = [value for value in node.inputs[1:] if value is not None]
    name = f"{node.outputs[0].name}/packed"  # what has a name of its own; a node need not
    packed = packed_as(shape, *(array_of(value, weights) for value in given))
    value = declare(graph, weights, name, packed, ir.DataType.UINT8)
    product = ir.node(
        "MatMulNBits",
        [node.inputs[0], value],
        {"shape": [*map(int, astuple(shape))]},
        domain=DOMAIN,
        name=node.name,
    )
    replace_nodes_and_values(graph, node, [node], [product], node.outputs, product.outputs)
    for each in given:
        drop(graph, weights, each)


def packed_as(
    shape: Shape, weights: Bytes, scales: NDArray[Any], zeros: Bytes | None = None
) -> Bytes:
    """The operator's input: for 16 columns after the other, each of their blocks with its scales,
    its zero points and its weights, which lie in the order in which they are multiplied.

    ``weights`` (outputs, blocks, bytes), ``scales`` and ``zeros`` as ONNX Runtime's operator has
    them: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    rows = (shape.groups, COLUMNS, shape.blocks)
    parts = [_by_block(scales.astype(np.float32).reshape(rows))]
    if zeros is not None:
        table = zeros.reshape(shape.outputs, -1)
        table = _nibbles(table) if shape.bits == 4 else table
        parts.append(_by_block(table[:, : shape.blocks].astype(np.int32).reshape(rows)))
    each = weights.reshape(*rows, -1)
    if shape.bits == 8:
        body = each.reshape(*rows, -1, _QUAD).transpose(0, 2, 3, 1, 4)
    else:
        steps = _nibbles(each).reshape(*rows, -1, 2, _QUAD).transpose(4, 0, 2, 3, 1, 5)
        body = steps[0] | steps[1] << 4
    parts.append(np.ascontiguousarray(body).reshape(shape.groups, shape.blocks, -1))
    return np.concatenate(parts, axis=2).reshape(-1)


def _by_block(table: NDArray[Any]) -> Bytes:
    """Bytes of a table (groups, columns, blocks), a block's columns side by side."""
    turned = np.ascontiguousarray(table.transpose(0, 2, 1))
    return turned.view(np.uint8).reshape(*turned.shape[:2], -1)


def _nibbles(table: Bytes) -> Bytes:
    """Two numbers of each byte, the lower bits first."""
    return np.stack([table & 15, table >> 4], axis=-1).reshape(*table.shape[:-1], -1)
