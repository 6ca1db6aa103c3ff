"""A model's ``config.json`` held against its weights: sizes that are possible, and agree. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from olive_stage.safetensors_file import Tensor
from olive_stage.words import plain
from olive_stage.work import invalid

LARGEST = {
    "num_hidden_layers": 1 << 12,
    "hidden_size": 1 << 20,
    "intermediate_size": 1 << 24,
    "num_attention_heads": 1 << 14,
    "num_key_value_heads": 1 << 14,
    "head_dim": 1 << 16,
    "vocab_size": 1 << 26,
    "max_position_embeddings": 1 << 32,
}
"""Far above any model there is; a graph of more would exhaust the memory before it failed."""

EMBEDDINGS = (
    "model.embed_tokens.weight",
    "model.language_model.embed_tokens.weight",
    "language_model.model.embed_tokens.weight",
)
LAYER = re.compile(r"(?:model|model\.language_model|language_model\.model)\.layers\.(\d+)\.")


def check_config(config: Mapping[str, Any], tensors: Mapping[str, Tensor], place: str) -> None:
    """InvalidInput if this is no language model's config, or not the config of these weights."""
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures) or not all(
        isinstance(name, str) for name in architectures
    ):
        raise invalid(f"config.json of {place} names no architectures; is it a language model?")
    if not isinstance(config.get("model_type"), str):
        raise invalid(f"config.json of {place} names no model_type; is it a language model?")
    text = config.get("text_config") or config
    if not isinstance(text, Mapping):
        raise invalid(f"text_config in config.json of {place} is not an object")
    for field, largest in LARGEST.items():
        _check_size(field, text.get(field), largest, place)
    _check_embeddings(text, tensors, place)
    _check_layers(text, tensors, place)


def _check_size(field: str, value: Any, largest: int, place: str) -> None:
    """Nothing, one number, or one for each layer."""
    for size in value if isinstance(value, list) else [value]:
        if size is not None and (type(size) is not int or not 0 < size <= largest):
            raise invalid(
                f"config.json of {place} says {field} {plain(size)}; it must be a whole number "
                f"from 1 to {largest}"
            )


def embeddings(tensors: Mapping[str, Tensor]) -> Tensor | None:
    """The token embeddings (vocabulary, hidden), where they are named as decoders name them."""
    found = [tensors[name] for name in EMBEDDINGS if name in tensors]
    return found[0] if found and len(found[0].shape) == 2 else None


def _check_embeddings(text: Mapping[str, Any], tensors: Mapping[str, Tensor], place: str) -> None:
    if table := embeddings(tensors):
        for field, size in zip(("vocab_size", "hidden_size"), table.shape, strict=True):
            if text.get(field) not in (None, size):
                raise invalid(
                    f"config.json of {place} says {field} {text[field]}, but its weights have "
                    f"{size}: it is the config of another model"
                )


def _check_layers(text: Mapping[str, Any], tensors: Mapping[str, Tensor], place: str) -> None:
    """More layers in the files than in the config are none too many: some only help to train."""
    found = {match[1] for name in tensors if (match := LAYER.match(name))}
    said = text.get("num_hidden_layers")
    if found and isinstance(said, int) and said > len(found):
        raise invalid(
            f"config.json of {place} says num_hidden_layers {said}, but its weights have "
            f"{len(found)} layers"
        )
