"""The model that a workflow left on disk, kept if a later stage can go on with it.

A Hugging Face folder goes on to fine-tuning and export, a folder for onnxruntime-genai to export.
"""

import shutil
from pathlib import Path
from typing import Any

from olive_stage.checkpoint import load_model
from olive_stage.companions import copy_companions
from olive_stage.genai_folder import GENAI_CONFIG, MODEL_FILE
from olive_stage.model_folder import CONFIG, check_folder, read_config
from olive_stage.work import invalid

NOTES = (
    "footprint.json",
    "output_footprint.json",
    "run_history.txt",
    "model_config.json",
    "metrics.json",
    "input_model_metrics.json",
)
"""What Olive writes beside an ONNX model about its run."""


def keep(model: dict[str, Any], source: Path, out: Path, remote_code: bool) -> dict[str, object]:
    """Move the model that Olive describes (its ``model_config``) to ``out``; what it is.

    ``source`` has the tokenizer. InvalidInput if no later stage could go on with it.
    """
    kind, config = str(model.get("type", "")), model.get("config", {})
    folder = Path(config.get("model_path") or "nowhere")
    if kind.lower() == "hfmodel" and (folder / CONFIG).is_file():
        if config.get("adapter_path"):
            raise invalid(
                "the workflow's best model is an adapter on a base; end the workflow with the pass "
                "MergeAdapterWeights, or train adapters in the job's adapters"
            )
        _move(folder, out)
        copy_companions(source, out)
        return _checked_checkpoint(out, remote_code)
    if kind.lower() == "onnxmodel" and (folder / GENAI_CONFIG).is_file():
        _move(folder, out)
        if not (out / MODEL_FILE).is_file():
            raise invalid(f"the workflow's best model has a {GENAI_CONFIG} but no {MODEL_FILE}")
        return {"format": "onnxruntime-genai"}
    raise invalid(
        f"the workflow's best model is of Olive's type {kind or 'none'} and neither a Hugging Face "
        f"folder nor one for onnxruntime-genai ({MODEL_FILE} with {GENAI_CONFIG}); end the "
        "workflow with a PyTorch pass, or with GenAIModelBuilder"
    )


def _checked_checkpoint(folder: Path, remote_code: bool) -> dict[str, object]:
    about = check_folder(folder, "the workflow's best model")
    asked = read_config(folder).get("quantization_config") or {}
    if asked.get("quant_method") == "olive" and not asked.get("symmetric"):
        raise invalid(
            "the workflow's best model is quantized asymmetrically, which export cannot read; "
            "set sym: true in the pass that quantizes"
        )
    load_model(folder, "auto", "cpu", remote_code)  # refused if any weight is missing
    return {"format": "transformers", **about}


def _move(folder: Path, out: Path) -> None:
    """The folder's files but Olive's notes; a link (to the input model) is copied."""
    for path in folder.iterdir():
        if path.name not in NOTES:
            shutil.move(path.resolve(), out / path.name)
