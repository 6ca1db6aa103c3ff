"""The files of a model for onnxruntime-genai: their names, and what none of them may say."""

from pathlib import Path
from typing import Any, Final

from olive_stage.json_file import read_json
from olive_stage.work import invalid

MODEL_FILE: Final = "model.onnx"
ADAPTER_FILE: Final = "adapter.onnx_adapter"
GENAI_CONFIG: Final = "genai_config.json"
LIBRARY: Final = "custom_ops_library"
"""Names a file that onnxruntime-genai loads as machine code, whatever it is called."""
REQUIRED: Final = (MODEL_FILE, GENAI_CONFIG, "tokenizer.json")


def absent_files(folder: Path) -> str:
    """The files that ``folder`` lacks, for a message; empty if it is whole."""
    return ", ".join(name for name in REQUIRED if not (folder / name).is_file())


def check_config(folder: Path, place: str) -> None:
    """InvalidInput for a configuration that is none, or that has code loaded."""
    waiting: list[Any] = [read_json(folder / GENAI_CONFIG, place)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if LIBRARY in part:
                raise invalid(
                    f"{GENAI_CONFIG} of {place} names a {LIBRARY}, which is code that would run "
                    "wherever the model is loaded; take that out"
                )
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
