"""Open LoRA inputs in a graph: beside every projection, ``y + (x A) B`` with A and B as inputs.

Both have an initializer of rank 0 as default, so the bare base runs as it is; an adapter of any
rank gives them values at run time. Names follow onnxruntime-genai's builder, so that its adapters
and ours are alike: ``model.layers.0.attn.q_proj.lora_A.MatMul.weight`` of shape (in, rank), and
``lora_B`` of shape (rank, out). The builder itself can do this for float models only.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from olive_stage.sites import Site, inputs_of

PROJECTION = re.compile(
    r"/model/layers\.(?P<layer>\d+)/(?P<block>attn|mlp)/"
    r"(?P<name>(?:q|k|v|o|gate|up|down|qkv|gate_up)_proj)/MatMul(?:NBits|_Q\d)?$"
)
"""As the builder names them: float, quantized in the checkpoint, quantized by the builder."""
ELEMENTS = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}


def graft(path: Path) -> list[Site]:
    """Rewrite the graph at ``path`` in place (its external data stays as it is); the sites.

    None are found in a graph that does not name its projections as the builder does; those that are
    open already, as in an export of ours, stay as they are.
    """
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    weights = {i.name: i for i in graph.initializer}
    there = {i.name for i in graph.input}
    nodes, sites = [], []
    for node in graph.node:
        nodes.append(node)
        site = _site(node, weights)
        if site is None:
            continue
        sites.append(site)
        if inputs_of(site.name)[0] in there:
            continue
        _open_inputs(graph, site)
        nodes.extend(_beside(node, site))
    del graph.node[:]
    graph.node.extend(nodes)
    # The builder adds the commit of whatever git repository it is called in.
    model.producer_version = model.producer_version.partition("+")[0]
    onnx.save(model, path)
    return sites


def _site(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> Site | None:
    """The node as a place for a LoRA, if it is a projection by constant weights."""
    found = PROJECTION.match(node.name)
    if not found:
        return None
    name = f"model.layers.{found['layer']}.{found['block']}.{found['name']}"
    if node.op_type == "MatMulNBits":
        attributes = {a.name: a.i for a in node.attribute}
        widths, computed_in = (attributes["K"], attributes["N"]), weights[node.input[2]].data_type
    elif node.op_type == "MatMul" and node.input[1] in weights:
        weight = weights[node.input[1]]
        widths, computed_in = (weight.dims[0], weight.dims[1]), weight.data_type
    else:
        return None
    return Site(name, *widths, ELEMENTS[computed_in]) if computed_in in ELEMENTS else None


def _open_inputs(graph: onnx.GraphProto, site: Site) -> None:
    a, b = inputs_of(site.name)
    for name, shape, empty in (
        (a, [site.inputs, "lora_r"], (site.inputs, 0)),
        (b, ["lora_r", site.outputs], (0, site.outputs)),
    ):
        tensor = numpy_helper.from_array(np.zeros(empty, site.element), name)
        graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, shape))
        graph.initializer.append(tensor)


def _beside(node: onnx.NodeProto, site: Site) -> Iterator[onnx.NodeProto]:
    """The LoRA's three nodes; the projection's output keeps its name, after the sum."""
    a, b = inputs_of(site.name)
    place = "/" + site.name.replace(".", "/")
    summed = node.output[0]
    node.output[0] = f"{summed}/base"
    low, high = f"{place}/lora_A/output", f"{place}/lora_B/output"
    yield helper.make_node("MatMul", [node.input[0], a], [low], f"{place}/lora_A/MatMul")
    yield helper.make_node("MatMul", [low, b], [high], f"{place}/lora_B/MatMul")
    yield helper.make_node("Add", [node.output[0], high], [summed], f"{place}/lora/Add")
