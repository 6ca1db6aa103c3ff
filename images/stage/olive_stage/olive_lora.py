"""LoRA on a model whose linear layers may be Olive's int4 ``QuantLinear``.

PEFT wraps what it knows. Olive's layer computes like a linear one (it unpacks its weights at every
call, then multiplies) and only lacks PEFT's names for its widths; with these, PEFT's own linear
LoRA layer fits, all but merging, which packed weights do not allow. Where memory is plentiful the
weights are unpacked once instead: the very same values, without unpacking at every step.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from olive.common.quant.nn import QuantLinear
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import Linear, LoraLayer
from transformers import PreTrainedModel

from olive_contract.params import Lora
from olive_stage.lora_sites import PROJECTION, Projections, chosen
from olive_stage.work import invalid

UNPACKED_SHARE = 0.4
"""Of the GPU's free memory, what unpacked weights may take; the rest is for activations."""


class QuantLora(Linear):  # type: ignore[misc]
    """PEFT's LoRA beside a packed layer; it cannot be merged into it."""

    def merge(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("a LoRA cannot be merged into int4 weights")


def unpack_if_it_fits(model: PreTrainedModel) -> bool:
    """Unpack on a GPU with room for it; whether packed layers are left."""
    packed = [m for m in model.modules() if isinstance(m, QuantLinear)]
    if not packed or not packed[0].qweight.is_cuda:
        return bool(packed)
    size = sum(m.rows * m.cols * m.scales.element_size() for m in packed)
    free, _ = torch.cuda.mem_get_info()
    if size > UNPACKED_SHARE * free:
        return True
    unpack(model)
    return False


def unpack(model: PreTrainedModel) -> None:
    """Put a plain linear layer of the same values in the place of every packed one."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, QuantLinear):
                setattr(parent, name, _plain(child))


def _plain(packed: QuantLinear) -> torch.nn.Linear:
    plain = torch.nn.Linear(packed.cols, packed.rows, bias=False, device="meta")
    weight = packed.unpack_and_dequantize(packed.qweight, packed.scales, packed.qzeros)
    plain.weight = torch.nn.Parameter(weight, requires_grad=False)
    if packed.bias is not None:
        plain.bias = torch.nn.Parameter(packed.bias, requires_grad=False)
    return plain


def add_lora(model: PreTrainedModel, lora: Lora) -> PeftModel:
    """The model with a fresh LoRA on the projections that ``lora`` chooses; all else is frozen."""
    sites = chosen(lora, projections_of(model))
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rankStabilized,
        target_modules=sorted(lora.targetModules or {name.rsplit(".", 1)[-1] for name in sites}),
        exclude_modules=list(lora.excludeModules) or None,
        layers_to_transform=list(lora.layersToTransform) or None,
        rank_pattern=dict(lora.rankPattern),
        alpha_pattern=dict(lora.alphaPattern),
        bias="none",
        task_type="CAUSAL_LM",
    )
    make_known(model, config)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unsupported layer type")  # supported: see QuantLora
        adapted = get_peft_model(model, config)
    layers = {n: m for n, m in adapted.base_model.model.named_modules() if isinstance(m, LoraLayer)}
    if odd := sorted(set(layers) - set(sites)):
        raise invalid(
            f"the names in lora.targetModules also fit {odd[0]}, where a LoRA cannot be served; "
            "name the projections with what stands before them (self_attn.q_proj)"
        )
    if absent := sorted(set(sites) - set(layers)):
        raise RuntimeError(f"PEFT put no LoRA on {absent[0]}")
    for layer in layers.values():
        layer.cast_input_dtype_enabled = False  # autocast does it, without a float32 copy
    return adapted


def make_known(model: torch.nn.Module, config: LoraConfig) -> None:
    """Let PEFT put LoRAs on the model's packed layers too."""
    for module in model.modules():
        if isinstance(module, QuantLinear):
            module.in_features, module.out_features = module.cols, module.rows
    config._register_custom_module({QuantLinear: QuantLora})


def projections_of(model: PreTrainedModel) -> Projections:
    """The linear layers in the model's blocks that can take a LoRA, with their widths."""
    found = {}
    for name, module in model.named_modules():
        if PROJECTION.search(name):
            if isinstance(module, QuantLinear):
                found[name] = (module.cols, module.rows)
            elif isinstance(module, torch.nn.Linear):
                found[name] = (module.in_features, module.out_features)
    return found


def save_adapter(model: PeftModel, out: Path, trained_on: str) -> None:
    """The adapter as PEFT writes it, but naming its base by key, and in a fixed order."""
    model.save_pretrained(out, safe_serialization=True, save_embedding_layers=False)
    path = out / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = trained_on
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True))
    (out / "README.md").unlink(missing_ok=True)
