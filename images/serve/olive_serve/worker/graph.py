"""The exported graph, made ready for batches whose rows differ in length and adapter.

Done in memory at every start; the export stays what any ONNX Runtime can run. No step of
the base's arithmetic changes:

- The MatMul, MatMul and Add of a LoRA beside a projection become one LoraAdd, an operator of ours
  that takes each row's own adapter (native/lora_add.c). The adapters are no inputs any more.
- How long each row is comes from two inputs, instead of from a mask that grows with every token.
- Logits are computed for the last position of each row alone.
- Products of the same input are one (fusion.py).
- Products of int4 and int8 weights are ours, where the processor can run them (packing.py).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx_ir as ir
from onnx_ir.convenience import replace_nodes_and_values
from onnx_ir.passes.common import RemoveUnusedNodesPass

from olive_serve.worker.fusion import fuse
from olive_serve.worker.packing import DOMAIN, pack
from olive_serve.worker.weights import Weights

ADAPTERS: Final = "adapters"
"""Input, int32 (rows): the adapter of each row, or -1."""
PAST_LENGTHS: Final = "seqlens_k"
"""Input, int32 (rows): the position of each row's last token, so the length without it."""
LONGEST: Final = "total_sequence_length"
"""Input, int32 scalar: the length of the longest row, with its new tokens."""


class GraphRefused(ValueError):  # noqa: N818 - said of the model, no fault here
    """The graph is not one that this engine can run in batches."""


@dataclass(frozen=True)
class LoraSite:
    """A projection that takes a LoRA: the export's names of its A (in, rank) and B (rank, out)."""

    a: str
    b: str
    inputs: int
    outputs: int


@dataclass(frozen=True)
class BatchGraph:
    """The graph as ONNX, without weights, and the sites that its LoraAdd operators name.

    ``weights`` are the initializers that the graph names as external but the export's files have
    not. ``vocabulary``: how many logits there are.
    """

    onnx: bytes
    weights: Weights
    sites: tuple[LoraSite, ...]
    vocabulary: int


def batchable(file: Path, *, own_products: bool) -> BatchGraph:
    """Rewrite the graph in ``file``; ``own_products``: the processor can run our MatMulNBits.

    Raises GraphRefused.
    """
    model = ir.load(file)
    graph = model.graph
    logits = next((o for o in graph.outputs if o.name == "logits"), None)
    vocabulary = logits.shape[-1] if logits and logits.shape else None
    if logits is None or not isinstance(vocabulary, int):
        raise GraphRefused("the graph has no output called logits of a fixed width")
    _lengths_as_inputs(graph)
    sites = _lora_as_operators(graph)
    _last_logits(graph)
    weights = fuse(graph)
    RemoveUnusedNodesPass()(model)
    if own_products:
        pack(graph, weights)
    _drop_unused_inputs(graph)
    model.opset_imports[DOMAIN] = 1
    return BatchGraph(ir.to_proto(model).SerializeToString(), weights, sites, vocabulary)


def _lengths_as_inputs(graph: ir.Graph) -> None:
    attentions = [node for node in graph if node.op_type == "GroupQueryAttention"]
    if not attentions:
        raise GraphRefused("no GroupQueryAttention: the engine batches no other attention")
    past = _input(graph, PAST_LENGTHS, ["batch_size"])
    longest = _input(graph, LONGEST, [])
    for node in attentions:
        node.replace_input_with(5, past)
        node.replace_input_with(6, longest)


def _last_logits(graph: ir.Graph) -> None:
    """Cut the hidden states to the last position, before the head's product."""
    last = ir.Value(name="last_position", const_value=ir.tensor([-1], name="last_position"))
    graph.register_initializer(last)

    def cut(node: ir.Node, at: int) -> None:
        gather = ir.node("Gather", [node.inputs[at], last], {"axis": 1})
        graph.insert_before(node, gather)
        node.replace_input_with(at, gather.outputs[0])

    node = next(o.producer() for o in graph.outputs if o.name == "logits")
    while node is not None and node.op_type not in ("MatMul", "MatMulNBits", "Gemm"):
        if node.op_type == "LoraAdd":
            cut(node, 1)
        node = node.inputs[0].producer() if node.inputs and node.inputs[0] else None
    if node is None:
        raise GraphRefused("the logits are no product of hidden states")
    cut(node, 0)


def _lora_as_operators(graph: ir.Graph) -> tuple[LoraSite, ...]:
    adapters = _input(graph, ADAPTERS, ["batch_size"])
    sites: list[LoraSite] = []
    for node in list(graph):
        if (found := _lora(node)) is None:
            continue
        low, high, total = found
        site, x = _site(low, high), low.inputs[0]
        base = next(value for value in total.inputs if value is not high.outputs[0])
        operator = ir.node(
            "LoraAdd",
            [base, x, adapters],
            {"sites": [len(sites)], "widths": [site.outputs]},
            domain=DOMAIN,
            name=total.name,
        )
        old = [total, high, low]
        replace_nodes_and_values(graph, total, old, [operator], total.outputs, operator.outputs)
        sites.append(site)
    return tuple(sites)


def _lora(low: ir.Node) -> tuple[ir.Node, ir.Node, ir.Node] | None:
    """The two products and the sum of a LoRA that begins with this node, if one does."""
    if low.op_type != "MatMul" or not _overridable(low.inputs[1]):
        return None
    high = _only_user(low)
    if high is None or high.op_type != "MatMul" or not _overridable(high.inputs[1]):
        return None
    total = _only_user(high)
    return (low, high, total) if total is not None and total.op_type == "Add" else None


def _site(low: ir.Node, high: ir.Node) -> LoraSite:
    a, b = low.inputs[1], high.inputs[1]
    inputs, outputs = (v.shape[at] if v and v.shape else None for v, at in ((a, 0), (b, 1)))
    if a is None or b is None or not isinstance(inputs, int) or not isinstance(outputs, int):
        raise GraphRefused(f"{low.name}: the LoRA's widths are not fixed")
    if a.dtype != ir.DataType.FLOAT:
        raise GraphRefused(f"{a.name}: adapters of {a.dtype} are not computed here, but FLOAT")
    return LoraSite(str(a.name), str(b.name), inputs, outputs)


def _overridable(value: ir.Value | None) -> bool:
    """Is it an input with a default?"""
    return value is not None and value.is_graph_input() and value.is_initializer()


def _only_user(node: ir.Node) -> ir.Node | None:
    uses = list(node.outputs[0].uses())
    return uses[0].node if len(uses) == 1 else None


def _input(graph: ir.Graph, name: str, shape: list[str]) -> ir.Value:
    value = ir.Value(name=name, type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape(shape))
    graph.inputs.append(value)
    return value


def _drop_unused_inputs(graph: ir.Graph) -> None:
    """Inputs that nothing reads any more, and their defaults."""
    for value in list(graph.inputs):
        if not value.uses() and not value.is_graph_output():
            graph.inputs.remove(value)
            graph.initializers.pop(str(value.name), None)
