"""export: the model as ONNX for onnxruntime-genai, with LoRA inputs left open.

The builder is onnxruntime-genai's own (Olive's ModelBuilder pass drives older ones only), called
in this process so that a full disk is an exception and not an exit code. Projections are not fused,
so that each has a place for a LoRA; an adapter never changes ``model.onnx``. What was built before,
by a workflow or by whoever made the source, is taken as it is.
"""

import shutil
from pathlib import Path

from olive_contract.artifact import ARTIFACT_FILE
from olive_contract.params import ExportParams
from olive_stage.activations import keep_float
from olive_stage.console import progress, say
from olive_stage.genai_folder import GENAI_CONFIG, MODEL_FILE, absent_files
from olive_stage.graft import graft
from olive_stage.head import OPTIONS as HEAD_OPTIONS
from olive_stage.head import halve, head_of
from olive_stage.model_folder import quantization_of, read_config, remote_code
from olive_stage.onnx_model import OnnxModel, structure
from olive_stage.work import Made, Work, invalid

BUILDER_PROVIDERS = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda"}


def make(params: ExportParams, work: Work) -> Made:
    """Export input ``model``; the artifact is an onnxruntime-genai folder."""
    source = work.folder("model")
    if (source / GENAI_CONFIG).is_file():
        progress(5, message="taking the graph as it is")
        work.need(work.input("model").size)
        take(source, work.out)
        precision = ""
    else:
        precision = precision_of(params, source, work.input("model").kind)
        build(precision, params, work)
    progress(75, message="opening LoRA inputs")
    sites = graft(work.out / MODEL_FILE)
    if not sites:
        say("no projection is named as onnxruntime-genai's builder names them: no adapter will fit")
    head = head_of(work.out / MODEL_FILE)
    if precision == "int4" and head != params.head:
        say(f"the head is {head}, as the checkpoint has it, not {params.head}")
    progress(85, message="checking")
    check(work.out, computes=precision != "fp16")
    return Made(
        metrics={"loraInputs": float(len(sites))},
        about={
            "model": work.input("model").key,
            "head": head,
            "lora": [site.about() for site in sites],
        },
        libraries=("onnxruntime-genai", "onnxruntime", "onnx", "transformers", "torch"),
    )


def build(precision: str, params: ExportParams, work: Work) -> None:
    """The folder of a Hugging Face checkpoint: graph, weights, tokenizer and chat template."""
    from onnxruntime_genai.models.builder import create_model, parse_extra_options

    source, artifact = work.folder("model"), work.input("model")
    head = params.head if precision == "int4" else None
    options = [
        "fuse_qkv=false",
        f"hf_remote={str(remote_code(artifact.about)).lower()}",
        "hf_token=false",
        *(HEAD_OPTIONS[head] if head else ()),
    ]
    work.need(2 * artifact.size)
    progress(5, message="building the graph")
    provider, cache = BUILDER_PROVIDERS[params.provider], str(work.scratch() / "builder")
    where = ("", str(source), str(work.out), precision, provider, cache)
    try:
        create_model(*where, **parse_extra_options(*where, options))
    except NotImplementedError as error:
        name = artifact.about.get("architecture", "such a model")
        raise invalid(f"onnxruntime-genai's builder cannot export {name}: {error}") from error
    if head == "fp16":
        halve(work.out / MODEL_FILE)
    if precision == "int4" and params.activations == "float32":
        keep_float(work.out / MODEL_FILE)
    for path in source.glob("chat_template.*"):  # servers render conversations by it
        shutil.copyfile(path, work.out / path.name)


def precision_of(params: ExportParams, source: Path, kind: str) -> str:
    """The precision to build in; InvalidInput if the one asked for is not the checkpoint's.

    What a workflow made is known only now: its result is exported as what it is.
    """
    quantized = quantization_of(read_config(source)) == "olive"
    if kind == "workflow" and not quantized:
        return "fp16" if params.device == "gpu" else "fp32"
    if quantized != (params.precision == "int4"):
        raise invalid(
            f"precision {params.precision} does not fit the model, which is "
            f"{'int4' if quantized else 'not quantized'}"
        )
    return params.precision


def take(source: Path, out: Path) -> None:
    """The files of an onnxruntime-genai folder; InvalidInput if one is not there.

    They are copied, and not linked: ONNX Runtime refuses weights that have two names, where it is
    given the graph by itself, as it is when it serves.
    """
    if absent := absent_files(source):
        raise invalid(f"the model is one for onnxruntime-genai, but lacks {absent}")
    for path in source.rglob("*"):
        if not path.is_file() or path.name == ARTIFACT_FILE:
            continue
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def check(folder: Path, computes: bool) -> None:
    """RuntimeError unless all files are there and the graph loads, and computes if it is asked to.

    It computes on a CPU whatever its provider is; only float16 weights, which a CPU would widen to
    twice their size, are left uncomputed.
    """
    if absent := absent_files(folder):
        raise RuntimeError(f"the export lacks {absent}")
    if not computes:
        structure(folder)
        return
    logits = OnnxModel(folder).logits([1, 2])
    if logits.shape[0] != 2 or not (abs(logits) < float("inf")).all():
        raise RuntimeError("the exported graph computes no finite logits")
