"""Which projections of a model get a LoRA. Pure, and the same for the check and the training.

The exported graph has LoRA inputs beside the projections of attention and MLP only (lora_mapping),
so nothing else may be trained. Names match as in PEFT: whole, or the last parts after a dot.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from olive_contract.params import Lora
from olive_stage.work import invalid

PROJECTION = re.compile(
    r"layers\.\d+\.(?:self_attn|attn|mlp)\."
    r"(?:[qkvo]_proj|qkv_proj|gate_proj|up_proj|down_proj|gate_up_proj)$"
)
"""A projection of a decoder block, as Llama, Mistral, Qwen, Gemma and Phi name them."""

Projections = Mapping[str, tuple[int, int]]
"""Input and output features by the module's name."""


def chosen(lora: Lora, projections: Projections) -> dict[str, int]:
    """The rank of every projection that is trained, by name; InvalidInput if a name misleads."""
    if not projections:
        raise invalid("the model has no linear layers that a LoRA could be put on (*_proj)")
    for field, names in (
        ("targetModules", lora.targetModules),
        ("excludeModules", lora.excludeModules),
    ):
        _check_names(field, names, projections)
    _check_layers(lora.layersToTransform, projections)
    found = {
        name: _of(name, lora.rankPattern, lora.rank)
        for name in projections
        if (not lora.targetModules or _named(name, lora.targetModules))
        and not _named(name, lora.excludeModules)
        and (not lora.layersToTransform or _layer(name) in lora.layersToTransform)
    }
    if not found:
        raise invalid("lora.excludeModules leaves nothing to train; exclude less")
    for field, pattern in (("rankPattern", lora.rankPattern), ("alphaPattern", lora.alphaPattern)):
        for key in pattern:
            if not any(_matches(name, key) for name in found):
                raise invalid(
                    f"lora.{field} names {key!r}, which is none of the trained projections; "
                    f"they are {_shown(found)}"
                )
    for name, rank in found.items():
        if rank > min(projections[name]):
            wide, long = projections[name]
            raise invalid(
                f"rank {rank} is more than {name} has room for, which maps {wide} to {long} "
                f"features; give a rank of at most {min(wide, long)}"
            )
    return found


def trainable(ranks: Mapping[str, int], projections: Projections) -> int:
    """The parameters of LoRAs of these ranks."""
    return sum(rank * sum(projections[name]) for name, rank in ranks.items())


def _check_names(field: str, names: Sequence[str], projections: Projections) -> None:
    for wanted in names:
        if not any(_named(name, [wanted]) for name in projections):
            raise invalid(
                f"lora.{field} names {wanted!r}, which is no projection of the model's blocks; "
                f"a LoRA can be served on {_shown(projections)} only"
            )


def _check_layers(layers: Sequence[int], projections: Projections) -> None:
    count = 1 + max(map(_layer, projections))
    if out := [layer for layer in layers if layer >= count]:
        raise invalid(
            f"lora.layersToTransform names layer {out[0]}, but the model has {count} layers "
            f"(0 to {count - 1})"
        )


def _named(name: str, wanted: Iterable[str]) -> bool:
    return any(name == one or name.endswith(f".{one}") for one in wanted)


def _matches(name: str, pattern: str) -> bool:
    """As PEFT matches the keys of its patterns: a regular expression for the name's end."""
    try:
        return re.match(rf"(.*\.)?({pattern})$", name) is not None
    except re.error:
        return False


def _of(name: str, pattern: Mapping[str, int], usual: int) -> int:
    return next((value for key, value in pattern.items() if _matches(name, key)), usual)


def _layer(name: str) -> int:
    return int(name.rsplit(".", 3)[1])


def _shown(names: Iterable[str]) -> str:
    return ", ".join(sorted({name.rsplit(".", 1)[-1] for name in names}))
