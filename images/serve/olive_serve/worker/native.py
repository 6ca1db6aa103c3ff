"""The library of our operators for ONNX Runtime (native/), and what Python calls in it."""

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

LIBRARY: Final = Path(sys.prefix) / "lib" / "olive_ops.so"
"""Compiled into the environment by native/build."""

_FLOATS = np.ctypeslib.ndpointer(np.float32, 2, flags="C")


@cache
def load() -> ctypes.CDLL:
    """The library, once for the whole process."""
    found = ctypes.CDLL(str(LIBRARY))
    found.lora_put.argtypes = (*[ctypes.c_int64] * 2, *[_FLOATS] * 2, *[ctypes.c_int64] * 3)
    found.lora_drop.argtypes = (ctypes.c_int64,)
    found.lora_table.argtypes = (ctypes.c_int64, ctypes.c_int64)
    return found


def multiplies() -> bool:
    """Can this processor run our MatMulNBits?"""
    return bool(load().nbits_runs())
