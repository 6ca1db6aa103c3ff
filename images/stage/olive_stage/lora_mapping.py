"""PEFT's tensors to the graph's LoRA inputs: names, fused projections, scaling, padding. Pure.

PEFT: ``…layers.0.self_attn.qkv_proj.lora_A.weight`` of shape (rank, in), ``lora_B`` (out, rank),
and a factor of alpha / rank (or alpha / √rank) beside them. The graph: one A (in, rank) and one B
(rank, out) for every projection, the factor folded into B. All get the same rank; what the adapter
does not touch, or touches with a lower rank, is filled with zeros, which changes no result.
"""

import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from olive_stage.sites import Site
from olive_stage.words import plain
from olive_stage.work import invalid

Array = npt.NDArray[np.floating[Any]]

AT_ONCE = 4
"""Sites that are laid out at once."""

TENSOR = re.compile(
    r"(?P<module>.*?layers\.(?P<layer>\d+)\.(?:self_attn|attn|mlp)\.(?P<name>\w+))"
    r"\.lora_(?P<side>[AB])\.weight$"
)
FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
}
REBASED = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initialisations that change the base's own weights as well."""


@dataclass(frozen=True)
class Pair:
    """One module of the adapter: A (rank, in), B (out, rank), and its scaling."""

    a: Array
    b: Array
    scale: float


def check_config(config: Mapping[str, Any]) -> None:
    """InvalidInput if the adapter does what LoRA inputs cannot."""
    if (kind := config.get("peft_type")) != "LORA":
        raise invalid(f"the adapter is {kind or 'of no known kind'}, not a LoRA")
    asks = {
        "DoRA": config.get("use_dora"),
        "a trained bias": config.get("bias", "none") != "none" or config.get("lora_bias"),
        "modules saved whole (modules_to_save)": config.get("modules_to_save"),
        "LoRA on bare parameters (target_parameters)": config.get("target_parameters"),
        "trained tokens (trainable_token_indices)": config.get("trainable_token_indices"),
        "transposed weights (fan_in_fan_out)": config.get("fan_in_fan_out"),
        "QA-LoRA": config.get("use_qalora"),
    }
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(REBASED):
        asks[f"an initialisation that changes the base ({start})"] = True
    if used := [feature for feature, asked in asks.items() if asked]:
        raise invalid(f"the adapter uses {used[0]}, which cannot be served; train a plain LoRA")


def convert(
    config: Mapping[str, Any], tensors: Mapping[str, Array], sites: Sequence[Site]
) -> dict[str, tuple[Array, Array]]:
    """Every site's A (in, rank) and B (rank, out), by its name; InvalidInput if it misfits.

    Of the site's element type.
    """
    check_config(config)
    if not sites:
        raise invalid(
            "the base takes no adapters: its graph names no projections as onnxruntime-genai's "
            "builder does"
        )
    by_place = {_place(site.name): site for site in sites}
    found: dict[str, Pair] = {}
    for (layer, name), pair in _pairs(config, tensors).items():
        for place, part in _unfuse(layer, name, pair, by_place).items():
            _check_shape(place, part, by_place)
            found[by_place[place].name] = part
    rank = max(pair.a.shape[0] for pair in found.values())
    with ThreadPoolExecutor(AT_ONCE) as pool:  # copying lets other threads run
        laid_out = pool.map(lambda site: _laid_out(found.get(site.name), site, rank), sites)
        return {site.name: pair for site, pair in zip(sites, laid_out, strict=True)}


Place = tuple[int, str]
"""A layer's number and a projection's name."""


def _place(site: str) -> Place:
    layer, _, name = site.removeprefix("model.layers.").split(".")
    return int(layer), name


def _pairs(config: Mapping[str, Any], tensors: Mapping[str, Array]) -> dict[Place, Pair]:
    sides: dict[str, dict[str, Array]] = {}
    places: dict[str, Place] = {}
    for key, tensor in tensors.items():
        match = TENSOR.match(key)
        if not match:
            raise invalid(
                f"the adapter holds {plain(key)}; only LoRA weights of attention and MLP "
                "projections can be served"
            )
        places[match["module"]] = int(match["layer"]), match["name"]
        sides.setdefault(match["module"], {})[match["side"]] = tensor
    if not sides:
        raise invalid("the adapter holds no weights")
    pairs = {}
    for module, sided in sides.items():
        if len(sided) != 2 or sided["A"].shape[0] != sided["B"].shape[1]:
            raise invalid(f"the adapter is not whole: {module} lacks a matching lora_A and lora_B")
        if places[module] in pairs:
            layer, name = places[module]
            raise invalid(f"the adapter holds {name} of layer {layer} twice; once as {module}")
        rank = sided["A"].shape[0]
        pairs[places[module]] = Pair(sided["A"], sided["B"], _scale(config, module, rank))
    return pairs


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / rank, or alpha / √rank (rsLoRA); alpha by PEFT's ``alpha_pattern`` where it fits."""
    alpha: Any = config.get("lora_alpha")
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise invalid("the adapter's alpha_pattern is no mapping of modules to numbers")
    for pattern, value in patterns.items():
        if _fits(pattern, module):
            alpha = value
            break
    try:
        return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise invalid(
            f"the adapter's alpha {plain(alpha)} of {module} and its rank {rank} are no scale"
        ) from error


def _fits(pattern: str, module: str) -> bool:
    """As PEFT matches: a regular expression for the end of the module's name."""
    if re.search(r"\)[*+{]", pattern):  # repeated groups can take for ever
        raise invalid(
            f"the adapter's alpha_pattern {plain(pattern)} repeats a group; name the modules"
        )
    try:
        return re.match(rf"(.*\.)?({pattern})$", module) is not None
    except re.error as error:
        raise invalid(f"the adapter's alpha_pattern {plain(pattern)} is none: {error}") from error


def _unfuse(layer: int, name: str, pair: Pair, sites: Mapping[Place, Site]) -> dict[Place, Pair]:
    """A fused projection's pair as one of each of its parts: they share A, and B is cut."""
    if name not in FUSED or (layer, name) in sites:
        return {(layer, name): pair}
    parts = [(layer, part) for part in FUSED[name]]
    if any(part not in sites for part in parts):
        return {parts[0]: pair}  # refused by the check that follows
    widths = [sites[part].outputs for part in parts]
    if pair.b.shape[0] != sum(widths):
        raise _misfit(layer, name, pair, sites[parts[0]].inputs, sum(widths))
    cuts = np.split(pair.b, np.cumsum(widths)[:-1])
    return {part: Pair(pair.a, cut, pair.scale) for part, cut in zip(parts, cuts, strict=True)}


def _check_shape(place: Place, pair: Pair, sites: Mapping[Place, Site]) -> None:
    layer, name = place
    if place not in sites:
        layers = 1 + max(site_layer for site_layer, _ in sites)
        if layer >= layers:
            raise invalid(
                f"the adapter has a layer {layer}, the base only {layers} layers: "
                "it was made for another model"
            )
        raise invalid(f"the adapter changes {name} of layer {layer}, which the base does not have")
    site = sites[place]
    if (pair.a.shape[1], pair.b.shape[0]) != (site.inputs, site.outputs):
        raise _misfit(layer, name, pair, site.inputs, site.outputs)


def _misfit(layer: int, name: str, pair: Pair, inputs: int, outputs: int) -> Exception:
    return invalid(
        f"the adapter was made for another model: {name} of layer {layer} maps "
        f"{pair.a.shape[1]} to {pair.b.shape[0]} features in the adapter, "
        f"{inputs} to {outputs} in the base"
    )


def _laid_out(pair: Pair | None, site: Site, rank: int) -> tuple[Array, Array]:
    a = np.zeros((site.inputs, rank), site.element)
    b = np.zeros((rank, site.outputs), site.element)
    if pair is not None:
        own = pair.a.shape[0]
        with np.errstate(over="ignore"):  # told by the check that follows
            a[:, :own] = pair.a.T
            np.multiply(pair.b.T, np.float32(pair.scale), out=b[:own], casting="same_kind")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise invalid(
                f"the adapter's weights of {site.name} hold numbers that are not finite, or too "
                f"large for {site.element}"
            )
    return a, b
