"""A PEFT adapter's folder as the stages accept it."""

from collections.abc import Collection
from pathlib import Path

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.model_folder import read_json
from olive_stage.work import invalid

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
KEPT = (CONFIG, WEIGHTS)


def check_names(names: Collection[str], place: str) -> None:
    """A StageFailure in words if these files at ``place`` are no PEFT adapter."""
    if CONFIG not in names:
        shown = ", ".join(sorted(names)[:8]) or "nothing"
        raise StageFailure(
            FailureClass.SOURCE_NOT_FOUND, f"{place} holds no {CONFIG}; found there: {shown}"
        )
    if WEIGHTS not in names:
        raise invalid(
            f"{place} has no {WEIGHTS}; an adapter kept as a pickle (.bin) is not read, because "
            "pickles can run code: save it as safetensors"
        )


def check_adapter(folder: Path, place: str) -> dict[str, object]:
    """What readers want to know of the adapter in ``folder``: the base that it names."""
    config = read_json(folder / CONFIG, place)
    if config.get("peft_type") != "LORA":
        raise invalid(f"{place} is an adapter of type {config.get('peft_type')}, not a LoRA")
    return {"baseModel": str(config.get("base_model_name_or_path") or "")}
