"""Products of the same input become one: q, k and v of an attention, gate and up of an MLP.

A product of one token takes hardly longer than starting the threads for it, so three in one are
sooner done than three. Every number of the result is computed as before.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from olive_serve.worker.weights import Weights, declare

MOST: Final = 4
"""Products in one; as many as LoraAdd has sites."""


@dataclass(frozen=True)
class _Product:
    """A MatMulNBits, and the LoraAdd behind it if it has one."""

    node: ir.Node
    lora: ir.Node | None

    @property
    def result(self) -> ir.Value:
        return (self.lora or self.node).outputs[0]

    @property
    def width(self) -> int:
        return self.node.attributes["N"].as_int()

    @property
    def kind(self) -> Hashable:
        """What products must have in common to become one."""
        attributes = {n: a.value for n, a in self.node.attributes.items() if n != "N"}
        given = tuple(value is not None for value in self.node.inputs)
        return self.node.inputs[0], self.lora is None, given, frozenset(attributes.items())


def fuse(graph: ir.Graph) -> Weights:
    """Put products side by side; the weights that the graph names as external from now on.

    The graph must have its LoraAdd operators already.
    """
    weights: Weights = {}
    for group in _groups(graph):
        _join(graph, group, weights)
    for node in graph:
        if node.op_type == "GroupQueryAttention":
            _packed(node)
    return weights


def _groups(graph: ir.Graph) -> Iterator[list[_Product]]:
    found: defaultdict[Hashable, list[_Product]] = defaultdict(list)
    for node in graph:
        if node.op_type == "MatMulNBits" and _known(node.inputs[1:]):
            product = _Product(node, _lora_of(node))
            found[product.kind].append(product)
    return (group for group in found.values() if 1 < len(group) <= MOST)


def _known(values: Sequence[ir.Value | None]) -> bool:
    """Are they weights, and no others than can be put one behind the other?"""
    reordered = len(values) > 3 and values[3] is not None
    return not reordered and all(v is None or v.const_value is not None for v in values)


def _lora_of(node: ir.Node) -> ir.Node | None:
    uses = list(node.outputs[0].uses())
    if len(uses) == 1 and uses[0].node.op_type == "LoraAdd" and uses[0].idx == 0:
        lora: ir.Node = uses[0].node
        return lora if lora.inputs[1] is node.inputs[0] else None
    return None


def _join(graph: ir.Graph, group: Sequence[_Product], weights: Weights) -> None:
    first = group[0].node
    name = f"{first.outputs[0].name}/side_by_side"  # unlike a node, it must have a name of its own
    widths = [product.width for product in group]
    inputs = [first.inputs[0]] + [
        _stacked(graph, f"{name}/{at}", [p.node.inputs[at] for p in group], weights)
        for at in range(1, len(first.inputs))
    ]
    product = ir.node(
        first.op_type,
        inputs,
        {**_values(first), "N": sum(widths)},
        domain=first.domain,
        name=name,
    )
    nodes, result = [product], product.outputs[0]
    loras = [p.lora for p in group if p.lora is not None]
    if loras:
        sites = [site for lora in loras for site in lora.attributes["sites"].as_ints()]
        lora = ir.node(
            "LoraAdd",
            [result, *loras[0].inputs[1:]],
            {"sites": sites, "widths": widths},
            domain=loras[0].domain,
            name=f"{name}/lora",
        )
        nodes, result = [*nodes, lora], lora.outputs[0]
    parts = ir.Value(name=f"{name}/widths", const_value=ir.tensor(widths, name=f"{name}/widths"))
    graph.register_initializer(parts)
    split = ir.node(
        "Split", [result, parts], {"axis": -1}, num_outputs=len(group), name=f"{name}/split"
    )
    graph.insert_before(first, [*nodes, split])
    for product_of, part in zip(group, split.outputs, strict=True):
        product_of.result.replace_all_uses_with(part)


def _values(node: ir.Node) -> Mapping[str, Any]:
    return {name: attribute.value for name, attribute in node.attributes.items()}


def _stacked(
    graph: ir.Graph, name: str, parts: Sequence[ir.Value | None], weights: Weights
) -> ir.Value | None:
    """The weights of several products as one's: every one of them begins with the outputs."""
    tensors = [p.const_value for p in parts if p is not None and p.const_value is not None]
    if not tensors:
        return None
    joined = np.concatenate([tensor.numpy() for tensor in tensors])
    return declare(graph, weights, name, joined, tensors[0].dtype)


def _packed(attention: ir.Node) -> None:
    """Let an attention read q, k and v where they lie side by side."""
    query, key, value = attention.inputs[:3]
    split = query.producer() if query is not None else None
    if split is None or split.op_type != "Split" or split.outputs != (query, key, value):
        return
    attention.replace_input_with(0, split.inputs[0])
    attention.replace_input_with(1, None)
    attention.replace_input_with(2, None)
