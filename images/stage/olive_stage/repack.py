"""What llm-compressor computed, as a checkpoint in Olive's format: the same numbers, packed.

llm-compressor leaves each layer's weights unrounded beside their scales. They are rounded here by
its own function, and the integers are put into Olive's ``QuantLinear``, whose ``(q - 8) * scale``
is the same arithmetic: the values do not change by a bit. Nothing is written in between.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from compressed_tensors.offload import align_module_device
from compressed_tensors.offload.dispatch import remove_dispatch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from olive.common.quant.hf_utils import OliveHfQuantizationConfig
from olive.common.quant.nn import QuantLinear
from transformers import PreTrainedModel

from olive_stage.companions import copy_companions

BITS = 4
SHARD = "600MB"
"""Readers hash several files at once; that is a second of 2 GB."""

OFFSET = 2 ** (BITS - 1)
"""llm-compressor's integers are signed, Olive's count from 0."""


@dataclass(frozen=True)
class Packed:
    """``layers`` were packed; ``error`` is the mean of their ||Q(W) - W|| / ||W||."""

    layers: int
    error: float


def pack_layers(model: PreTrainedModel) -> Packed:
    """Replace every layer that has a scale by Olive's, on the CPU, and free its float weights."""
    errors = []
    for name, module in list(model.named_modules()):
        if hasattr(module, "weight_scale"):
            with align_module_device(module), torch.no_grad():
                packed, error = pack_layer(module)
            model.set_submodule(name, packed)
            errors.append(error)
    return Packed(len(errors), float(torch.stack(errors).mean()) if errors else 0.0)


def pack_layer(linear: torch.nn.Linear) -> tuple[QuantLinear, torch.Tensor]:
    """The layer in Olive's form, and the relative error of its rounding (a scalar)."""
    args: QuantizationArgs = linear.quantization_scheme.weights
    weight, scale = linear.weight, linear.weight_scale
    integers = quantize(weight, scale, linear.weight_zero_point, args, dtype=torch.int8)
    packed = QuantLinear.from_tensors(
        integers.to(torch.int32) + OFFSET,
        bits=BITS,
        symmetric=True,
        group_size=args.group_size,
        scales=scale.data,
        zero_points=torch.full_like(scale, OFFSET, dtype=torch.int32),
        quantized=True,
        in_features=linear.in_features,
        out_features=linear.out_features,
        bias=linear.bias is not None,
    )
    if linear.bias is not None:
        packed.bias = linear.bias.detach().clone()
    values = packed.unpack_and_dequantize(packed.qweight, packed.scales, None)
    error = (values - weight).float().norm() / weight.float().norm()
    return packed.to("cpu"), error.cpu()


def save(model: PreTrainedModel, group_size: int, source: Path, out: Path) -> None:
    """The packed model in ``out``, with all that is no weight as it is in ``source``."""
    remove_dispatch(model)
    config = OliveHfQuantizationConfig(bits=BITS, symmetric=True, group_size=group_size)
    model.config.quantization_config = config
    model.quantization_method = config.quant_method
    # the instance's own was replaced by llm-compressor
    type(model).save_pretrained(model, out, max_shard_size=SHARD)
    copy_companions(source, out)
