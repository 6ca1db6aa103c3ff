"""How near one stream comes to what the memory allows: every token reads every weight once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx_ir as ir

ARRAY, ROUNDS = 1 << 28, 8
"""Bytes read by each thread in a round: beyond any cache."""


def bytes_per_token(model: Path) -> int:
    """The weights of all products: what one token reads of them, with their scales."""
    graph = ir.load(model / "model.onnx").graph
    products = [n for n in graph if n.op_type in ("MatMulNBits", "MatMul", "Gemm")]
    weights = {value.name: value for n in products for value in n.inputs if value is not None}
    return sum(v.const_value.nbytes for v in weights.values() if v.const_value is not None)


def bandwidth() -> float:
    """Bytes per second that all cores together read from memory, the best of some rounds."""
    threads = len(os.sched_getaffinity(0))
    arrays = [np.ones(ARRAY // 4, np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        best = 0.0
        for _ in range(ROUNDS):
            began = perf_counter()
            list(pool.map(np.max, arrays))
            best = max(best, threads * ARRAY / (perf_counter() - began))
    return best
