"""What finetune refuses, found without torch and before a GPU is asked for."""

from pathlib import Path
from typing import Any

from olive_contract.params import FinetuneParams, Lora
from olive_stage import rows, template
from olive_stage.batches import to_train_on, tokenize
from olive_stage.console import say
from olive_stage.genai_folder import GENAI_CONFIG
from olive_stage.lora_sites import PROJECTION, Projections, chosen, trainable
from olive_stage.model_folder import (
    CONFIG,
    check_folder,
    quantization_of,
    read_config,
    read_tensors,
)
from olive_stage.tokenizer_file import TOKENIZER, read_tokenizer
from olive_stage.work import invalid


def check(params: FinetuneParams, model: Path, data: Path) -> dict[str, float]:
    """What will be trained on how much; InvalidInput if it cannot be done.

    ``model`` and ``data`` are the artifacts' folders. Rows are counted in tokens where the
    tokenizer is in the file that needs no code to be read.
    """
    check_trainable(model)
    check_folder(model, "the model")
    found = {"trainableParameters": float(check_lora(params.lora, model))}
    form = template.parse(params.template)
    kept, held = rows.split(rows.read_rows(data, form), params.evalSplit, params.lora.seed)
    found |= {"rows": float(len(kept)), "heldOut": float(len(held))}
    if (model / TOKENIZER).is_file():
        tokenizer = read_tokenizer(model / TOKENIZER, "the model")

        def encode(texts: list[str]) -> list[list[int]]:
            return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]

        learnt = tokenize(kept, form, encode, params.lora.maxLength)
        examples = to_train_on(learnt, params.lora)
        found |= {
            "tokens": float(learnt.count),
            "rowsCut": float(learnt.cut),
            "rowsLeftOut": float(learnt.short),
            "examples": float(len(examples)),
        }
        if learnt.cut:
            say(f"{learnt.cut} of {len(kept)} rows are longer than maxLength and will be cut")
    elif not any(form.render(row).strip() for row in kept):
        raise invalid("every row is empty once the template is filled in")
    return found


def check_trainable(model: Path) -> None:
    """InvalidInput if the folder is a graph, as a workflow may leave it, and not a checkpoint."""
    if (model / GENAI_CONFIG).is_file() or not (model / CONFIG).is_file():
        raise invalid(
            "the model is an ONNX one, which cannot be trained on; begin with (or end the workflow "
            "with) a PyTorch model, or leave out adapters with data"
        )


def check_lora(lora: Lora, model: Path) -> int:
    """The parameters that ``lora`` trains in the model; InvalidInput if it fits it nowhere."""
    config = read_config(model)
    method = quantization_of(config)
    if method not in ("", "olive"):
        raise invalid(f"the model is quantized by {method!r}; a float or an int4 model is needed")
    projections = projections_of(model, config.get("quantization_config") or {})
    return trainable(chosen(lora, projections), projections)


def projections_of(model: Path, quantization: dict[str, Any]) -> Projections:
    """The projections in the model's files; packed ones hold several weights a byte."""
    found = {}
    for name, tensor in read_tensors(model, "the model").items():
        module, _, kind = name.rpartition(".")
        if PROJECTION.search(module) and len(tensor.shape) == 2 and kind in ("weight", "qweight"):
            rows_, width = tensor.shape
            if kind == "qweight":
                own = (quantization.get("overrides") or {}).get(module) or {}
                width *= 8 // (own.get("bits") or quantization.get("bits", 4))
            found[module] = (width, rows_)
    return found
