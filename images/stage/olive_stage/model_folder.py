"""A Hugging Face model folder as the stages accept it: config, tokenizer, safetensors weights.

Pickled weights (``.bin``, ``.pt``) and code are neither fetched nor loaded.
"""

import json
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.work import invalid

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
KEPT = (
    CONFIG,
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
    "*.safetensors",
    INDEX,
    "LICENSE*",
)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def kept(names: Collection[str]) -> list[str]:
    """The files of a model that are worth having, of these paths relative to its folder.

    One copy of the weights: where Transformers' own are there (``model*.safetensors``), others
    (``consolidated.safetensors``) are left out.
    """
    wanted = [n for n in names if "/" not in n and any(fnmatch(n, p) for p in KEPT)]
    own = [n for n in wanted if fnmatch(n, "model*.safetensors")]
    return sorted(n for n in wanted if not own or n in own or not n.endswith(".safetensors"))


def check_names(names: Collection[str], place: str) -> None:
    """A StageFailure in words if these files at ``place`` are no model that can be used."""
    if CONFIG not in names:
        raise _absent(place, "no config.json", names)
    if not any(fnmatch(n, "*.safetensors") for n in names):
        if pickled := [n for n in names if any(fnmatch(n, p) for p in PICKLES)]:
            raise invalid(
                f"{place} has its weights only as {pickled[0]}, a pickle, which can run code when "
                "loaded; convert the model to safetensors first"
            )
        raise _absent(place, "no *.safetensors file", names)
    if not any(name in names for name in TOKENIZERS):
        raise _absent(place, f"no tokenizer ({' or '.join(TOKENIZERS)})", names)


def check_folder(folder: Path, place: str) -> dict[str, object]:
    """What readers want to know of the model in ``folder``; a StageFailure if it is not whole."""
    config = read_json(folder / CONFIG, place)
    architectures = config.get("architectures")
    if not architectures or not isinstance(architectures, list):
        raise invalid(f"config.json of {place} names no architectures; is it a language model?")
    if (folder / INDEX).exists():
        shards = set(read_json(folder / INDEX, place).get("weight_map", {}).values())
        if absent := sorted(s for s in shards if not (folder / s).is_file()):
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND,
                f"{place} is not whole: {INDEX} names {absent[0]}, which is not there",
            )
    return {"architecture": architectures[0], "quantization": quantization_of(config)}


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model artifact."""
    return read_json(folder / CONFIG, "the model")


def quantization_of(config: dict[str, Any]) -> str:
    """The method by which the checkpoint is quantized (``olive``, ``awq``…); empty if it is not."""
    return str((config.get("quantization_config") or {}).get("quant_method", ""))


def read_json(path: Path, place: str) -> dict[str, Any]:
    """The object in this file; InvalidInput if it holds none."""
    try:
        body = json.loads(path.read_text())
    except ValueError as error:
        raise invalid(f"{path.name} of {place} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise invalid(f"{path.name} of {place} is not a JSON object")
    return body


def _absent(place: str, what: str, names: Collection[str]) -> StageFailure:
    shown = ", ".join(sorted(names)[:8]) or "nothing"
    return StageFailure(
        FailureClass.SOURCE_NOT_FOUND, f"{place} holds {what}; found there: {shown}"
    )
