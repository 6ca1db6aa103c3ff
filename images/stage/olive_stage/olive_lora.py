"""LoRA on a model whose linear layers may be Olive's int4 ``QuantLinear``.

PEFT wraps what it knows. Olive's layer computes like a linear one (it unpacks its weights, then
multiplies) and only lacks PEFT's names for its widths; with these, PEFT's own linear LoRA layer
fits, all but merging, which packed weights do not allow.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from olive.common.quant.nn import QuantLinear
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import Linear
from transformers import PreTrainedModel

from olive_contract.params import Lora
from olive_stage.work import invalid

TARGETS = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"}
    | {"gate_proj", "up_proj", "down_proj", "gate_up_proj"}
)
"""The linear layers of a decoder block, as Llama, Mistral, Qwen, Gemma and Phi name them."""

DROPOUT = 0.05
"""As in Olive's LoRA pass."""


class QuantLora(Linear):  # type: ignore[misc]
    """PEFT's LoRA beside a packed layer; it cannot be merged into it."""

    def merge(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("a LoRA cannot be merged into int4 weights")


def add_lora(model: PreTrainedModel, lora: Lora) -> PeftModel:
    """The model with a fresh LoRA on every linear layer of its blocks; all else is frozen."""
    targets = sorted(targets_of(model))
    if not targets:
        raise invalid("the model has no linear layers that a LoRA could be put on (*_proj)")
    for module in model.modules():
        if isinstance(module, QuantLinear):
            module.in_features, module.out_features = module.cols, module.rows
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=DROPOUT,
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    config._register_custom_module({QuantLinear: QuantLora})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unsupported layer type")  # supported: see QuantLora
        return get_peft_model(model, config)


def targets_of(model: PreTrainedModel) -> set[str]:
    """The names of the linear layers in the model that a LoRA goes on."""
    return {
        name.rsplit(".", 1)[-1]
        for name, module in model.named_modules()
        if isinstance(module, QuantLinear | torch.nn.Linear)
    } & TARGETS


def save_adapter(model: PeftModel, out: Path, trained_on: str) -> None:
    """The adapter as PEFT writes it, but naming its base by key, and in a fixed order."""
    model.save_pretrained(out, safe_serialization=True, save_embedding_layers=False)
    path = out / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = trained_on
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True))
    (out / "README.md").unlink(missing_ok=True)
