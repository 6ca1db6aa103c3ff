"""The smallest files that pass for a model, an adapter and a data set: a few hundred bytes each."""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

VOCABULARY = 8
WIDTH = 4
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1}

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]


def header(tensors: Shapes) -> dict[str, Any]:
    """The header of a safetensors file with these types and shapes by name."""
    found, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + SIZES[dtype] * math.prod(shape)
        found[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    return found


def packed(head: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of this header (an object or its bytes), whatever it says."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def safetensors(tensors: Shapes) -> bytes:
    """A whole file of zeros."""
    head = header(tensors)
    return packed(head, bytes(max((t["data_offsets"][1] for t in head.values()), default=0)))


CONFIG: dict[str, Any] = {
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "hidden_size": WIDTH,
    "num_hidden_layers": 1,
    "vocab_size": VOCABULARY,
}
WEIGHTS: Shapes = {
    "model.embed_tokens.weight": ("F32", (VOCABULARY, WIDTH)),
    "model.layers.0.mlp.down_proj.weight": ("F32", (WIDTH, WIDTH)),
}
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"},
}
MODEL: dict[str, bytes] = {
    "config.json": json.dumps(CONFIG).encode(),
    "tokenizer.json": json.dumps(TOKENIZER).encode(),
    "model.safetensors": safetensors(WEIGHTS),
}

LORA: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "base_model_name_or_path": "owner/base",
}
MODULE = "base_model.model.model.layers.0.mlp.down_proj"
LORA_WEIGHTS: Shapes = {
    f"{MODULE}.lora_A.weight": ("F32", (2, WIDTH)),
    f"{MODULE}.lora_B.weight": ("F32", (WIDTH, 2)),
}
ADAPTER: dict[str, bytes] = {
    "adapter_config.json": json.dumps(LORA).encode(),
    "adapter_model.safetensors": safetensors(LORA_WEIGHTS),
}

ROWS = b'{"prompt": "a", "response": "b"}\n\n{"prompt": "c", "response": "d"}\n'


def config(**changes: Any) -> bytes:
    """``config.json`` with these fields changed or (None) left out."""
    body = {**CONFIG, **changes}
    return json.dumps({k: v for k, v in body.items() if v is not None}).encode()


def lora(**changes: Any) -> bytes:
    """``adapter_config.json`` with these fields changed."""
    return json.dumps({**LORA, **changes}).encode()
