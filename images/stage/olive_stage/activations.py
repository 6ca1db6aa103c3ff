"""What an int4 model computes in on a CPU: int8 activations, or float32 ones.

``accuracy_level`` of ONNX Runtime's MatMulNBits: 4 rounds each block of activations to int8, which
is quick and most of the error that is left beside an int8 head; 1 does not (docs/adr/0007).
"""

from pathlib import Path

import onnx

BLOCKS_BITS = 4
"""Only the blocks' weights: for 8-bit heads there is no quick kernel but the one with int8."""


def keep_float(path: Path) -> None:
    """Have the blocks of the graph at ``path`` compute in float32; its data is left as it is."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        values = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "MatMulNBits" and values["bits"].i == BLOCKS_BITS:
            values["accuracy_level"].i = 1
    onnx.save(model, path)
