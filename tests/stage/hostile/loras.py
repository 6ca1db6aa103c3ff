"""Adapters that are no LoRA, or not a whole one."""

from collections.abc import Iterator
from typing import Any

from hostile.case import Case
from source_files import ADAPTER, LORA_WEIGHTS, MODULE, Shapes, lora, safetensors

A, B = f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def cases() -> Iterator[Case]:
    for name, body in CONFIGS.items():
        yield adapter(f"LoRA: {name}", {CONFIG: body}, says=CONFIG)
    for name, changes in TYPES.items():
        yield adapter(f"LoRA: {name}", {CONFIG: lora(**changes)}, says="not a LoRA")
    for name, shapes in SHAPES.items():
        yield adapter(f"LoRA: {name}", {WEIGHTS: safetensors(shapes)})
    whole = ADAPTER[WEIGHTS]
    for cut in (0, 8, 100, -1):
        yield adapter(f"LoRA: weights cut at byte {cut}", {WEIGHTS: whole[:cut]}, says=WEIGHTS)
    yield adapter("LoRA: pickled", {WEIGHTS: None, "adapter_model.bin": b"x"}, says="allowPickle")
    yield adapter("LoRA: no weights", {WEIGHTS: None}, "SourceNotFound")
    yield adapter("LoRA: no config", {CONFIG: None}, "SourceNotFound")
    long = lora(base_model_name_or_path="x" * 5_000_000)
    yield adapter("LoRA: a base's name of 5 MB", {CONFIG: long}, "Succeeded")
    listed = lora(base_model_name_or_path=["a", {"b": 1}])
    yield adapter("LoRA: a base's name as a list", {CONFIG: listed}, "Succeeded")
    beside = {"adapter_own.py": b"raise SystemExit", "optimizer.pt": b"x"}
    yield adapter("LoRA: code and pickles beside it", beside, "Succeeded")


def adapter(
    name: str, files: dict[str, bytes | None], ends: str = "InvalidInput", says: str = ""
) -> Case:
    return Case(name, ends, says, what="adapter", files={**ADAPTER, **files})


CONFIGS: dict[str, bytes] = {
    "a rank of 0": lora(r=0),
    "a rank of -8": lora(r=-8),
    "a rank of 10^9": lora(r=10**9),
    "a rank as a text": lora(r="2"),
    "a rank of a half": lora(r=0.5),
    "a rank that is true": lora(r=True),
    "no rank": lora(r=None),
    "a rank as a list": lora(r=[2]),
    "alpha infinite": lora(lora_alpha=float("inf")),
    "alpha NaN": lora(lora_alpha=float("nan")),
    "alpha of 10^400": lora(lora_alpha=10**400),
    "alpha as a text": lora(lora_alpha="4"),
    "alpha that is true": lora(lora_alpha=True),
    "no alpha": lora(lora_alpha=None),
    "rank_pattern as a list": lora(rank_pattern=[2]),
    "a rank_pattern of -1": lora(rank_pattern={"down_proj": -1}),
    "a rank_pattern of 10^9": lora(rank_pattern={"down_proj": 10**9}),
    "a rank_pattern of texts": lora(rank_pattern={"down_proj": "2"}),
    "alpha_pattern as a list": lora(alpha_pattern=[1]),
    "another rank than the weights have": lora(r=4),
    "config empty": b"",
    "config a list": b"[]",
    "config garbage": b"\xff\xfe",
    "config 100 000 deep": b'{"r":' * 100_000,
    "config of 9 MiB": b'{"r": "' + b"x" * (9 << 20) + b'"}',
    "config of 2 million lists": lora()[:-1] + b', "r": [' + b"[]," * 2_000_000 + b"[]]}",
}
TYPES: dict[str, dict[str, Any]] = {
    "no type": {"peft_type": None},
    "type IA3": {"peft_type": "IA3"},
    "type as a list": {"peft_type": ["LORA"]},
    "type of 5 MB": {"peft_type": "x" * 5_000_000},
}
SHAPES: dict[str, Shapes] = {
    "no tensors": {},
    "A without B": {A: LORA_WEIGHTS[A]},
    "B without A": {B: LORA_WEIGHTS[B]},
    "A and B of two ranks": {A: ("F32", (2, 4)), B: ("F32", (4, 3))},
    "A and B exchanged": {A: ("F32", (4, 2)), B: ("F32", (2, 4))},
    "a gigantic rank": {A: ("U8", (100_000, 4)), B: ("U8", (4, 100_000))},
    "a rank beyond the config's": {A: ("F32", (64, 4)), B: ("F32", (4, 64))},
    "three dimensions": {A: ("F32", (2, 2, 4)), B: ("F32", (4, 2))},
    "no dimension": {A: ("F32", ()), B: ("F32", ())},
    "an empty side": {A: ("F32", (0, 4)), B: ("F32", (4, 0))},
    "integers": {A: ("I64", (2, 4)), B: ("I64", (4, 2))},
    "bytes": {A: ("U8", (2, 4)), B: ("U8", (4, 2))},
}
