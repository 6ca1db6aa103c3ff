"""Random models of a few thousand weights of any architecture, with a tokenizer of numbers."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 256
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OWN: dict[str, dict[str, Any]] = {"phi3": {"original_max_position_embeddings": 256}}
"""Where a length differs from that, the builder takes a Phi-3 for one of long contexts."""


def make(folder: Path, model_type: str, **config: Any) -> Path:
    """A model of this type (``llama``, ``phi3``…) in ``folder``; float32 unless told otherwise."""
    torch.manual_seed(0)
    dtype = config.pop("dtype", torch.float32)
    shape = SHAPE | OWN.get(model_type, {}) | config
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **shape))
    for parameter in model.parameters():  # norms of ones would hide a norm that is left out
        if parameter.ndim == 1:
            parameter.data.uniform_(0.5, 1.5)
    model.to(dtype).save_pretrained(folder)
    words = {"<pad>": 0, **{str(number): number for number in range(1, VOCABULARY)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>").save_pretrained(folder)
    return folder


def rows(count: int, longest: int) -> list[list[int]]:
    """Token ids of ``count`` random rows of different lengths."""
    generator = torch.Generator().manual_seed(1)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    return [
        [number(3, VOCABULARY) for _ in range(number(longest // 2, longest + 1))]
        for _ in range(count)
    ]
