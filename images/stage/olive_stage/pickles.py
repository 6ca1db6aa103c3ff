"""Pickled weights as safetensors, file by file, without running what a pickle can hold.

``torch.load(weights_only=True)`` reads tensors and plain containers and refuses everything else;
``mmap`` leaves the tensors on disk until they are written. torch is imported for this alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olive_stage.console import say
from olive_stage.json_file import read_json
from olive_stage.model_folder import INDEX_LIMIT
from olive_stage.words import plain, readable
from olive_stage.work import invalid

INDEX = "pytorch_model.bin.index.json"
ZIP = b"PK\x03\x04"
"""How files of torch 1.6 and later begin; only these can be mapped."""

SHARED = 2
"""Times a file's bytes that its tensors may take: embeddings and head are often one memory."""


def convert(folder: Path, place: str) -> bool:
    """Every pickled weights file in ``folder`` becomes the safetensors file of the usual name.

    Whether there was any. InvalidInput names a file that holds anything but tensors.
    """
    pickled = sorted(folder.glob("*.bin"))
    for path in pickled:
        say(f"reading tensors from {path.name}")
        _save(_read(path, place), folder / _renamed(path.name))
        path.unlink()
    if (index := folder / INDEX).exists():
        body = read_json(index, place, INDEX_LIMIT)
        files = body.get("weight_map")
        if not isinstance(files, dict):
            raise invalid(f"{INDEX} of {place} has no weight_map")
        body["weight_map"] = {name: _renamed(str(file)) for name, file in files.items()}
        (folder / _renamed(INDEX)).write_text(json.dumps(body))
        index.unlink()
    return bool(pickled)


def _renamed(name: str) -> str:
    """``pytorch_model-00001-of-00002.bin`` → ``model-00001-of-00002.safetensors``."""
    return name.replace("pytorch_model", "model").replace(".bin", ".safetensors")


def _read(path: Path, place: str) -> Mapping[str, Any]:
    import torch

    with path.open("rb") as stream:
        zipped = stream.read(len(ZIP)) == ZIP
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # torch says whatever, and gives bad advice
        raise invalid(
            f"{path.name} of {place} is damaged or holds more than tensors: nothing is read from it"
        ) from error
    if not isinstance(found, dict) or not found:
        raise invalid(f"{path.name} of {place} does not hold tensors by name")
    total = 0
    for name, tensor in found.items():
        strided = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided
        if not isinstance(name, str) or not strided or tensor.is_quantized:
            raise invalid(f"{path.name} of {place} holds {plain(name)}, which is no plain tensor")
        total += tensor.numel() * tensor.element_size()
    if total > SHARED * path.stat().st_size:
        raise invalid(
            f"{path.name} of {place} claims tensors of {readable(total)}; the file is smaller"
        )
    return found


def _save(tensors: Mapping[str, Any], path: Path) -> None:
    """As one file; what shares memory in the pickle is written for each name."""
    from safetensors.torch import save_file

    separate, seen = {}, set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and storage not in seen
        separate[name] = tensor if whole else tensor.contiguous().clone()
        seen.add(storage)
    save_file(separate, path, metadata={"format": "pt"})
