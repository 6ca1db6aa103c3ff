"""A model artifact as a torch model: float, or int4 in Olive's format.

Transformers does not know ``quant_method: olive`` by itself: it would warn, build ordinary layers
and leave them *random*. Olive's quantizer is therefore registered before every load, and the load
is refused if any weight was not found in the file.
"""

from pathlib import Path
from typing import Any

import torch
from olive.common.quant.hf_utils import OliveHfQuantizationConfig, OliveHfQuantizer
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING

from olive_stage.model_folder import quantization_of, read_config
from olive_stage.work import invalid


class TrainableOliveQuantizer(OliveHfQuantizer):  # type: ignore[misc]
    """Olive's quantizer, saying that adapters on its layers can be trained."""

    @property
    def is_trainable(self) -> bool:
        return True


def load_model(
    folder: Path, dtype: torch.dtype | str = "", device: Any = None, remote_code: bool = False
) -> PreTrainedModel:
    """The model in ``folder``: for training unless told otherwise.

    ``dtype`` is else bfloat16 on GPUs that have it, float32 elsewhere; ``device`` is else every
    GPU there is, or the CPU; ``remote_code``: the model's own Python files are run.
    """
    method = quantization_of(read_config(folder))
    if method not in ("", "olive"):
        raise invalid(f"the model is quantized by {method!r}; a float or an int4 model is needed")
    AUTO_QUANTIZATION_CONFIG_MAPPING["olive"] = OliveHfQuantizationConfig
    AUTO_QUANTIZER_MAPPING["olive"] = TrainableOliveQuantizer
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype or compute_dtype(),
        device_map=device or _placement(),
        use_safetensors=True,
        trust_remote_code=remote_code,
        output_loading_info=True,
    )
    if absent := sorted(info["missing_keys"]) + sorted(info["mismatched_keys"]):
        raise invalid(f"the model's files lack the weights of {absent[0]} ({len(absent)} in all)")
    return model


def load_tokenizer(folder: Path, remote_code: bool = False) -> Any:
    """The tokenizer in ``folder``, with something to pad with."""
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=remote_code)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def compute_dtype() -> torch.dtype:
    """bfloat16 where the GPU computes in it; float32 elsewhere (fp16 training diverges)."""
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def _placement() -> Any:
    """One GPU, all GPUs layer by layer, or the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    return "auto" if torch.cuda.device_count() > 1 else {"": 0}
