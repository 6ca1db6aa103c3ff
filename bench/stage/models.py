"""The models and data that the stages are measured on; run with the stages' environment.

    images/stage/.venv/bin/python bench/stage/models.py tiny|phi-3.5-mini FOLDER

``FOLDER`` gets ``model`` (a Hugging Face folder) and, as JSON Lines, ``calibration`` (column
``text``), ``first`` and ``second`` (columns ``prompt`` and ``response``), every row longer than 512
tokens (96 for the tiny model). ``phi-3.5-mini`` has that model's shape, 3.82 G parameters, with
random weights: what a stage costs depends on shapes, not on what a model knows. ``tiny`` is the
model of examples/travel-tiny.
"""

import json
import random
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "travel-tiny"
ROWS = {"calibration": 160, "first": 900, "second": 900}
LENGTH = {"tiny": 96, "phi-3.5-mini": 512}


def main() -> None:
    shape, folder = sys.argv[1], Path(sys.argv[2])
    example = _example()
    rows = example.read_rows(EXAMPLE)
    tokenizer = example.make_tokenizer(example.lessons(rows))
    model = example.make_model(tokenizer) if shape == "tiny" else phi(tokenizer)
    model.save_pretrained(folder / "model", max_shard_size="3GB")
    tokenizer.save_pretrained(folder / "model")
    write_rows(rows, tokenizer, LENGTH[shape], folder)


def phi(tokenizer: PreTrainedTokenizerFast) -> Phi3ForCausalLM:
    """Phi-3.5-mini's shape with random bfloat16 weights, made where it is quickest."""
    end, stop = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|end|>"])
    config = Phi3Config(
        vocab_size=32064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        sliding_window=None,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[end, stop],
        pad_token_id=end,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return Phi3ForCausalLM(config)


def write_rows(
    rows: list[dict[str, str]], tokenizer: PreTrainedTokenizerFast, length: int, folder: Path
) -> None:
    """The three data sets: sentences of the example, joined at random to more than ``length``."""
    sentences = [(row["response"], len(tokenizer(row["response"])["input_ids"])) for row in rows]
    for seed, (name, count) in enumerate(ROWS.items()):
        order = random.Random(seed)  # noqa: S311 - data to measure with, not a secret
        lines = (_text(sentences, length + 16, order) for _ in range(count))
        with (folder / f"{name}.jsonl").open("w") as out:
            for line in lines:
                row = (
                    {"text": line}
                    if name == "calibration"
                    else {"prompt": "Tell me.", "response": line}
                )
                out.write(json.dumps(row) + "\n")


def _text(sentences: list[tuple[str, int]], length: int, order: random.Random) -> str:
    parts, tokens = [], 0
    while tokens < length:
        text, count = order.choice(sentences)
        parts.append(text)
        tokens += count
    return " ".join(parts)


def _example() -> Any:
    """What examples/travel-tiny/make_model.py defines."""
    return SimpleNamespace(**runpy.run_path(str(EXAMPLE / "make_model.py")))


if __name__ == "__main__":
    main()
