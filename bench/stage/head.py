"""What the type of an int4 model's head, and of its activations, costs in error, speed and bytes.

    python bench/stage/head.py MODEL|tiny|smollm-135m|smollm-135m-tied

``MODEL`` is a folder in Olive's int4 format; of a shape that is named instead, a model is made and
rounded to int4. It is exported for a CPU with each head. The error is that of the export alone:
over random tokens, the mean of |x - y| / |x| of the logits after every token, x being PyTorch's in
float32 on the same int4 weights. ``int8`` activations are what the export asks for; for ``float32``
those of the blocks are asked for in accuracy level 1. Tokens per second are a single stream's, the
best of short bursts in several rounds, on a machine that may be busy. Last line: JSON.
"""

import json
import os
import runpy
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from olive_contract.artifact import Artifact
from olive_contract.params import ExportParams, Head, QuantizeParams
from olive_contract.store import Store
from olive_stage import export
from olive_stage.activations import keep_float
from olive_stage.checkpoint import load_model
from olive_stage.genai_folder import MODEL_FILE
from olive_stage.onnx_model import OnnxModel
from olive_stage.work import Work

HEADS: tuple[Head, ...] = ("int4", "int8", "fp16")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "travel-tiny"
SHAPES = ("tiny", "smollm-135m", "smollm-135m-tied")
TEXTS, TOKENS = 4, 64
PROMPT, ANSWER, ROUNDS, BURSTS = 32, 17, 4, 6

Array = np.ndarray[Any, Any]


@dataclass
class Variant:
    """An export and the type of its activations, and what was measured."""

    head: Head
    activations: str
    folder: Path
    bytes: int
    exportSeconds: float
    error: float = 0.0
    tokensPerSecond: float = 0.0


def main() -> None:
    named = sys.argv[1]
    with TemporaryDirectory(prefix="olive-bench-") as temporary:
        folder = Path(temporary)
        model = quantized(named, folder) if named in SHAPES else Path(named)
        texts = random_texts(model)
        expected = reference(model, texts)
        variants = [v for head in HEADS for v in exported(model, head, folder)]
        for variant in variants:
            variant.error = error(expected, OnnxModel(variant.folder), texts)
        time_all(variants, texts[0])
    print(json.dumps([{k: v for k, v in vars(each).items() if k != "folder"} for each in variants]))


def quantized(shape: str, folder: Path) -> Path:
    """A model of this shape, rounded to int4."""
    from olive_stage.olive_passes import quantize_olive

    example = runpy.run_path(str(EXAMPLE / "make_model.py"))
    rows = example["read_rows"](EXAMPLE)
    tokenizer = example["make_tokenizer"](example["lessons"](rows))
    model = example["make_model"](tokenizer) if shape == "tiny" else smollm(shape.endswith("tied"))
    model.save_pretrained(folder / "float")
    tokenizer.save_pretrained(folder / "float")
    params = QuantizeParams("rtn", "int4", 32 if shape == "tiny" else 64)
    layers = 7 * model.config.num_hidden_layers
    quantize_olive(params, folder / "float", folder / "int4", [], layers, False)
    return folder / "int4"


def smollm(tied: bool) -> PreTrainedModel:
    """SmolLM-135M's shape with random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).to(torch.bfloat16)


def random_texts(model: Path) -> list[list[int]]:
    """Token ids, the same ones for every model of a vocabulary."""
    size = json.loads((model / "config.json").read_text())["vocab_size"]
    texts: list[list[int]] = np.random.default_rng(0).integers(8, size, (TEXTS, TOKENS)).tolist()
    return texts


def reference(model: Path, texts: list[list[int]]) -> Array:
    """PyTorch's logits in float32: (texts x tokens, vocabulary)."""
    loaded = load_model(model, torch.float32, "cpu").eval()
    with torch.inference_mode():
        return np.concatenate([loaded(torch.tensor([text])).logits[0].numpy() for text in texts])


def exported(model: Path, head: Head, folder: Path) -> Iterator[Variant]:
    """The stage's own export with this head: as it is, and with float32 activations."""
    store = Store(folder / "store")
    key = "0" * 64
    if not store.path(key).exists():
        store.root.mkdir()
        store.path(key).symlink_to(model.resolve(), target_is_directory=True)
    out = folder / f"head-{head}"
    out.mkdir()
    work = Work(head, store, {"model": Artifact(key, "quantize", {}, {}, ())}, out)
    started = time.perf_counter()
    export.make(ExportParams("cpu", "CPUExecutionProvider", "int4", head), work)
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in out.iterdir())
    yield Variant(head, "int8", out, size, seconds)
    yield Variant(head, "float32", in_float32(out), size, seconds)


def in_float32(folder: Path) -> Path:
    """The same export with activations of the int4 weights in float32; weights are linked."""
    other = folder.with_name(f"{folder.name}-float32")
    other.mkdir()
    for path in folder.iterdir():
        if path.name != MODEL_FILE:
            os.link(path, other / path.name)
    shutil.copyfile(folder / MODEL_FILE, other / MODEL_FILE)
    keep_float(other / MODEL_FILE)
    return other


def error(expected: Array, model: OnnxModel, texts: list[list[int]]) -> float:
    """The mean relative error of the logits after each token."""
    found = np.concatenate([model.logits(text) for text in texts])
    return float(
        (np.linalg.norm(expected - found, axis=1) / np.linalg.norm(expected, axis=1)).mean()
    )


def time_all(variants: list[Variant], text: list[int]) -> None:
    """Every variant once a round, so that a busy moment of the machine touches all alike."""
    for _ in range(ROUNDS):
        for variant in variants:
            model = OnnxModel(variant.folder)
            model.generate(text[:PROMPT], 4)
            for _ in range(BURSTS):
                run = model.generate(text[:PROMPT], ANSWER)
                rate = (len(run.tokens) - 1) / run.rest_seconds
                variant.tokensPerSecond = max(variant.tokensPerSecond, rate)


if __name__ == "__main__":
    main()
