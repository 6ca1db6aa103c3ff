"""export: the model as ONNX for onnxruntime-genai, with LoRA inputs left open.

The builder is onnxruntime-genai's own (Olive's ModelBuilder pass drives older ones only), called
in this process so that a full disk is an exception and not an exit code. Projections are not fused,
so that each has a place for a LoRA; an adapter never changes ``model.onnx``.
"""

import shutil
from pathlib import Path

from onnxruntime_genai.models.builder import create_model, parse_extra_options

from olive_contract.params import ExportParams
from olive_stage.console import progress
from olive_stage.graft import graft
from olive_stage.model_folder import quantization_of, read_config
from olive_stage.onnx_model import GENAI_CONFIG, MODEL_FILE, OnnxModel
from olive_stage.work import Made, Work, invalid

BUILDER_PROVIDERS = {"CPUExecutionProvider": "cpu"}
OPTIONS = (
    "fuse_qkv=false",
    "algo_config=rtn_last",  # an int8 head: in int4 it makes nearly all of the logits' error
    "hf_remote=false",
    "hf_token=false",
)
REQUIRED = (MODEL_FILE, GENAI_CONFIG, "tokenizer.json")


def make(params: ExportParams, work: Work) -> Made:
    """Export input ``model``; the artifact is an onnxruntime-genai folder."""
    source = work.folder("model")
    quantized = quantization_of(read_config(source)) == "olive"
    if quantized != (params.precision == "int4"):
        raise invalid(
            f"precision {params.precision} does not fit the model, which is "
            f"{'int4' if quantized else 'not quantized'}"
        )
    work.need(2 * work.input("model").size)
    progress(5, message="building the graph")
    where = ("", str(source), str(work.out), params.precision)
    provider, cache = BUILDER_PROVIDERS[params.provider], str(work.scratch() / "builder")
    create_model(
        *where, provider, cache, **parse_extra_options(*where, provider, cache, [*OPTIONS])
    )
    progress(75, message="opening LoRA inputs")
    sites = graft(work.out / MODEL_FILE)
    copy_chat_template(source, work.out)
    progress(85, message="checking")
    check(work.out)
    return Made(
        metrics={"loraInputs": float(len(sites))},
        about={"model": work.input("model").key, "lora": [site.about() for site in sites]},
        libraries=("onnxruntime-genai", "onnxruntime", "onnx", "transformers", "torch"),
    )


def copy_chat_template(source: Path, out: Path) -> None:
    """Keep the chat template, which servers render conversations by."""
    for path in source.glob("chat_template.*"):
        shutil.copyfile(path, out / path.name)


def check(folder: Path) -> None:
    """RuntimeError unless the graph loads, computes a token, and all files are there."""
    if absent := [name for name in REQUIRED if not (folder / name).is_file()]:
        raise RuntimeError(f"the export lacks {', '.join(absent)}")
    logits = OnnxModel(folder).logits([1, 2])
    if logits.shape[0] != 2 or not (abs(logits) < float("inf")).all():
        raise RuntimeError("the exported graph computes no finite logits")
