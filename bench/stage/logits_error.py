"""How far an exported model with its adapter is from the model that it came from.

    python bench/stage/logits_error.py QUANTIZED TRAINED EXPORT ADAPTER ROWS

Folders of artifacts, and a JSON Lines file of prompts and responses. The reference is the quantized
checkpoint with the PEFT adapter, in PyTorch and float32: what is measured is the export alone. The
error is |x - y| / |x| over all logits of the rows (Euclidean norms). Last line: JSON with
``adapter`` (both with the adapter), ``adapterFloat32`` (the same with ``export.activations:
float32``), ``base`` (both without it) and ``withoutAdapter`` (the reference with the adapter, the
export without it: how much the adapter changes).
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftConfig, PeftModel

from olive_stage.activations import keep_float
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.genai_folder import ADAPTER_FILE, MODEL_FILE
from olive_stage.olive_lora import make_known
from olive_stage.onnx_model import OnnxModel

ROWS = 4
TOKENS = 96

Array = np.ndarray[Any, Any]


def main() -> None:
    quantized, trained, export, adapter, rows = map(Path, sys.argv[1:6])
    tokenizer = load_tokenizer(quantized)
    texts = [json.loads(line)["response"] for line in rows.read_text().splitlines()[:ROWS]]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"][:TOKENS] for text in texts]
    base_reference = reference(quantized, None, ids)
    adapter_reference = reference(quantized, trained, ids)
    model = OnnxModel(export)
    base = np.concatenate([model.logits(row) for row in ids])
    with_adapter = model.adapted(adapter / ADAPTER_FILE)
    adapted = np.concatenate([with_adapter.logits(row) for row in ids])
    del model, with_adapter
    with in_float32(export) as exact:
        with_adapter = OnnxModel(exact, adapter / ADAPTER_FILE)
        adapted_exactly = np.concatenate([with_adapter.logits(row) for row in ids])
    found = {
        "adapter": error(adapter_reference, adapted),
        "adapterFloat32": error(adapter_reference, adapted_exactly),
        "base": error(base_reference, base),
        "withoutAdapter": error(adapter_reference, base),
    }
    print(json.dumps(found))


def reference(quantized: Path, trained: Path | None, ids: list[list[int]]) -> Array:
    """Logits in float32 of all tokens, by PyTorch: (tokens, vocabulary)."""
    model: Any = load_model(quantized, torch.float32)
    if trained:
        model = add_trained(model, trained)
    model = model.eval()
    with torch.inference_mode():
        found = [model(input_ids=torch.tensor([row], device=model.device)).logits[0] for row in ids]
    logits: Array = torch.cat(found).cpu().numpy()
    return logits


def add_trained(model: Any, trained: Path) -> Any:
    """The model with the PEFT adapter of this folder on its packed layers."""
    config = PeftConfig.from_pretrained(trained)
    make_known(model, config)
    return PeftModel.from_pretrained(model, trained, config=config)


@contextmanager
def in_float32(export: Path) -> Iterator[Path]:
    """The same export with float32 activations, beside it; its data is linked."""
    with tempfile.TemporaryDirectory(dir=export.parent) as folder:
        for path in export.iterdir():
            if path.name != MODEL_FILE:
                os.link(path, Path(folder) / path.name)
        shutil.copyfile(export / MODEL_FILE, Path(folder) / MODEL_FILE)
        keep_float(Path(folder) / MODEL_FILE)
        yield Path(folder)


def error(wanted: Array, found: Array) -> float:
    """Relative error in the Euclidean norm."""
    return float(np.linalg.norm(wanted - found) / np.linalg.norm(wanted))


if __name__ == "__main__":
    main()
