"""The output head of an int4 model: what the builder is told for each type, and what came of it.

The checkpoint's head is float; its rounding is most of an int4 model's error (docs/adr/0007). Where
head and embeddings are one matrix they stay one, of the head's type.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_ir as ir

from olive_contract.params import Head

OPTIONS: dict[Head, tuple[str, ...]] = {
    "int4": (),
    "int8": ("algo_config=rtn_last",),
    "fp16": ("nodes_to_exclude=/lm_head/MatMul,/model/embed_tokens/Gather",),
}
"""The builder's: all MatMuls that are float so far to int4, the last to int8, or none."""

WEIGHT = "lm_head.MatMul.weight"
FLOATS = {onnx.TensorProto.FLOAT: "fp32", onnx.TensorProto.FLOAT16: "fp16"}


def halve(path: Path) -> None:
    """Keep a float32 head as float16 in the file; ONNX Runtime widens it when it loads the model.

    Half the bytes, and nothing lost: checkpoints are bfloat16 or float16. The graph at ``path`` and
    its one file of external data are written anew.
    """
    model = ir.load(path)
    weight = model.graph.initializers.get(WEIGHT)
    if weight is None or weight.const_value is None or weight.dtype != ir.DataType.FLOAT:
        return
    half = ir.tensor(weight.const_value.numpy().astype(np.float16), name=f"{WEIGHT}.float16")
    narrow = ir.Value(
        name=half.name,
        const_value=half,
        shape=weight.shape,
        type=ir.TensorType(ir.DataType.FLOAT16),
    )
    cast = ir.node("Cast", [narrow], {"to": ir.DataType.FLOAT}, name=f"/{WEIGHT}/Cast")
    cast.outputs[0].name = f"{WEIGHT}.float32"
    weight.replace_all_uses_with(cast.outputs[0])
    del model.graph.initializers[WEIGHT]
    model.graph.register_initializer(narrow)
    model.graph.insert_before(model.graph[0], cast)
    with TemporaryDirectory(dir=path.parent) as beside:
        ir.save(model, Path(beside) / path.name, external_data=f"{path.name}.data")
        for file in Path(beside).iterdir():
            file.replace(path.parent / file.name)


def head_of(path: Path) -> str:
    """The type of the head's weights in the graph at ``path``, as its file holds them."""
    graph = onnx.load(path, load_external_data=False).graph
    types = {i.name: i.data_type for i in graph.initializer}
    for node in graph.node:
        if node.name.startswith("/lm_head/MatMul"):
            if node.op_type == "MatMulNBits":
                return f"int{next(a.i for a in node.attribute if a.name == 'bits')}"
            if f"{WEIGHT}.float16" in types:
                return "fp16"
            return FLOATS.get(types.get(node.input[1], 0), "unknown")
    return "unknown"
