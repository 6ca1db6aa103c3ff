"""A PEFT adapter's folder as the stages accept it.

Whether it fits a base is seen when it is converted; here, whether it is a whole LoRA at all.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olive_stage.json_file import read_json
from olive_stage.safetensors_file import Tensor, read_header
from olive_stage.words import plain
from olive_stage.work import invalid

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
LARGEST_RANK = 4096
FLOATS = ("F64", "F32", "F16", "BF16")
SIDE = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


def check_adapter(folder: Path, place: str) -> dict[str, object]:
    """What readers want to know of the adapter in ``folder``: the base that it names, its rank."""
    config = read_json(folder / CONFIG, place)
    if config.get("peft_type") != "LORA":
        raise invalid(f"{place} is an adapter of type {plain(config.get('peft_type'))}, not a LoRA")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 0 < rank <= LARGEST_RANK:
        raise invalid(
            f"{CONFIG} of {place} says r {plain(rank)}; a rank is a whole number from 1 to "
            f"{LARGEST_RANK}"
        )
    if type(alpha) not in (int, float) or not math.isfinite(_float(alpha)):
        raise invalid(f"{CONFIG} of {place} says lora_alpha {plain(alpha)}; it must be a number")
    if not isinstance(config.get("alpha_pattern") or {}, dict):
        raise invalid(f"alpha_pattern in {CONFIG} of {place} is no mapping of modules to numbers")
    tensors = read_header(folder / WEIGHTS, place)
    if not tensors:
        raise invalid(f"{WEIGHTS} of {place} holds no tensors")
    _check_pairs(tensors, _ranks(config, place) | {rank}, place)
    return {"baseModel": plain(config.get("base_model_name_or_path") or "", 200), "rank": rank}


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _ranks(config: Mapping[str, Any], place: str) -> set[int]:
    """The ranks that single modules have instead of ``r``."""
    pattern = config.get("rank_pattern") or {}
    if not isinstance(pattern, dict) or any(
        type(rank) is not int or not 0 < rank <= LARGEST_RANK for rank in pattern.values()
    ):
        raise invalid(
            f"rank_pattern in {CONFIG} of {place} is no mapping of modules to ranks from 1 to "
            f"{LARGEST_RANK}"
        )
    return set(pattern.values())


def _check_pairs(tensors: Mapping[str, Tensor], ranks: set[int], place: str) -> None:
    """Of every module A (rank, in) and B (out, rank), floats, of a rank that the config tells."""
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            raise invalid(
                f"{plain(name)} of {place} is of type {tensor.dtype}; an adapter's weights are "
                "floats"
            )
        if match := SIDE.fullmatch(name):
            sides.setdefault(match["module"], {})[match["side"]] = tensor
    for module, pair in sides.items():
        if len(pair) < 2:
            raise invalid(f"{place} is not whole: {plain(module)} has lora_{next(iter(pair))} only")
        a, b = pair["A"].shape, pair["B"].shape
        if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
            raise invalid(
                f"{plain(module)} of {place} has lora_A of shape {list(a)} and lora_B of shape "
                f"{list(b)}; (rank, in) and (out, rank) are needed"
            )
        if a[0] not in ranks:
            raise invalid(
                f"{plain(module)} of {place} has rank {a[0]}; {CONFIG} says "
                f"{' or '.join(map(str, sorted(ranks)))}"
            )
