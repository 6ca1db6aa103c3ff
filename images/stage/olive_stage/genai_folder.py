"""The files of a model for onnxruntime-genai, by their names."""

from pathlib import Path
from typing import Final

MODEL_FILE: Final = "model.onnx"
ADAPTER_FILE: Final = "adapter.onnx_adapter"
GENAI_CONFIG: Final = "genai_config.json"
REQUIRED: Final = (MODEL_FILE, GENAI_CONFIG, "tokenizer.json")


def absent_files(folder: Path) -> str:
    """The files that ``folder`` lacks, for a message; empty if it is whole."""
    return ", ".join(name for name in REQUIRED if not (folder / name).is_file())
