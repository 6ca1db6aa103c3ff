"""Open LoRA inputs in a graph: beside every projection, ``y + (x A) B`` with A and B as inputs.

Both have an initializer of rank 0 as default, so the bare base runs as it is; an adapter of any
rank gives them values at run time. Names follow onnxruntime-genai's builder, so that its adapters
and ours are alike: ``model.layers.0.attn.q_proj.lora_A.MatMul.weight`` of shape (in, rank), and
``lora_B`` of shape (rank, out). The builder itself can do this for float models only.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from olive_stage.sites import Site, inputs_of

PROJECTION = re.compile(
    r"/model/layers\.(?P<layer>\d+)/(?P<block>attn|mlp)/"
    r"(?P<name>(?:q|k|v|o|gate|up|down)_proj)/MatMul(?:NBits)?$"
)


def graft(path: Path) -> list[Site]:
    """Rewrite the graph at ``path`` in place (its external data stays as it is); the sites."""
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    shapes = {i.name: list(i.dims) for i in graph.initializer}
    types = {v.name: v.type.tensor_type.elem_type for v in [*graph.value_info, *graph.output]}
    nodes, sites = [], []
    for node in graph.node:
        nodes.append(node)
        found = PROJECTION.match(node.name)
        if not found or node.op_type not in ("MatMul", "MatMulNBits"):
            continue
        site = Site(
            f"model.layers.{found['layer']}.{found['block']}.{found['name']}",
            *_widths(node, shapes),
        )
        sites.append(site)
        element = types.get(node.output[0]) or TensorProto.FLOAT
        _open_inputs(graph, site, element)
        nodes.extend(_beside(node, site))
    if not sites:
        raise RuntimeError("the exported graph has no projections to put a LoRA beside")
    del graph.node[:]
    graph.node.extend(nodes)
    # The builder adds the commit of whatever git repository it is called in.
    model.producer_version = model.producer_version.partition("+")[0]
    onnx.save(model, path)
    return sites


def _widths(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> tuple[int, int]:
    if node.op_type == "MatMulNBits":
        attributes = {a.name: a.i for a in node.attribute}
        return attributes["K"], attributes["N"]
    inputs, outputs = shapes[node.input[1]]
    return inputs, outputs


def _open_inputs(graph: onnx.GraphProto, site: Site, element: int) -> None:
    kind = helper.tensor_dtype_to_np_dtype(element)
    a, b = inputs_of(site.name)
    for name, shape, empty in (
        (a, [site.inputs, "lora_r"], (site.inputs, 0)),
        (b, ["lora_r", site.outputs], (0, site.outputs)),
    ):
        graph.input.append(helper.make_tensor_value_info(name, element, shape))
        graph.initializer.append(numpy_helper.from_array(np.zeros(empty, kind), name))


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
