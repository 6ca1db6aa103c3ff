"""A Hugging Face model folder as the stages accept it: config, tokenizer, safetensors weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.json_file import read_json
from olive_stage.model_config import check_config
from olive_stage.safetensors_file import Tensor, read_header
from olive_stage.words import plain, some
from olive_stage.work import invalid

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
INDEX_LIMIT = 24 << 20
"""Bytes; that of the largest model with open weights takes 10 MB."""


def check_folder(folder: Path, place: str) -> dict[str, object]:
    """What readers want to know of the model in ``folder``; a StageFailure if it is not whole.

    Every weights file's header is read, and what the config says is held against it; no weight is.
    """
    config = read_json(folder / CONFIG, place)
    tensors = read_tensors(folder, place)
    check_config(config, tensors, place)
    return {"architecture": config["architectures"][0], "quantization": quantization_of(config)}


def read_tensors(folder: Path, place: str) -> dict[str, Tensor]:
    """The tensors of all weights files of the folder; every one that the index names is there."""
    files = {path.name: read_header(path, place) for path in sorted(folder.glob("*.safetensors"))}
    if (folder / INDEX).exists():
        named = read_json(folder / INDEX, place, INDEX_LIMIT).get("weight_map")
        if not isinstance(named, dict):
            raise invalid(f"{INDEX} of {place} has no weight_map")
        for tensor, file in named.items():
            if file not in files:
                raise StageFailure(
                    FailureClass.SOURCE_NOT_FOUND,
                    f"{place} is not whole: {INDEX} names {plain(file)}, which is not there",
                )
            if tensor not in files[file]:
                raise invalid(
                    f"{INDEX} of {place} says that {plain(tensor)} is in {file}; it is not"
                )
    found: dict[str, Tensor] = {}
    for file, tensors in files.items():
        if twice := found.keys() & tensors.keys():
            raise invalid(f"{file} of {place} holds {some(twice)}, which another file holds too")
        found |= tensors
    if not found:
        raise invalid(f"the weights files of {place} hold no tensors")
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model artifact."""
    return read_json(folder / CONFIG, "the model")


def quantization_of(config: Mapping[str, Any]) -> str:
    """The method by which the checkpoint is quantized (``olive``, ``awq``…); empty if it is not."""
    asked = config.get("quantization_config") or {}
    return str(asked.get("quant_method", "")) if isinstance(asked, dict) else plain(asked)


def remote_code(about: Mapping[str, Any]) -> bool:
    """Whether the artifact that tells this of itself holds its own code, which may be run."""
    return about.get("remoteCode") is True
