"""quantize: a float model to int4, symmetric, in Olive's checkpoint format.

AWQ is llm-compressor's, repacked; ``Rtn`` and ``Gptq`` are Olive's passes, run as classes: what
Olive's engine would add (cache, search, exit codes that say 0) is what a stage must not have. The
head stays float: its rounding is nearly all of the error (docs/adr).
"""

from pathlib import Path

import torch
from safetensors import safe_open

from olive_contract.params import QuantizeParams
from olive_stage.calibration import Tokens, tokenized
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.console import progress, say
from olive_stage.model_folder import check_folder, quantization_of, read_config, remote_code
from olive_stage.quantize_check import NEED_DATA, check
from olive_stage.work import Made, Work

LIBRARIES = {"awq": ("llmcompressor", "compressed-tensors")}


def make(params: QuantizeParams, work: Work) -> Made:
    """Quantize input ``model``; input ``calibration`` is read where the algorithm needs data."""
    source, out = work.folder("model"), work.out
    data = work.folder("calibration") if "calibration" in work.inputs else None
    found = check(params, source, data)
    artifact = work.input("model")
    work.need(artifact.size // 3)
    runs_code = remote_code(artifact.about)
    progress(2, message=f"{params.algorithm}: loading the model")
    rows: list[Tokens] = []
    if params.calibration and data and params.algorithm in NEED_DATA:
        rows = tokenized(params.calibration, data, load_tokenizer(source, runs_code))
        tokens = sum(map(len, rows))
        say(f"calibrating with {len(rows)} rows of {tokens} tokens in all")
        if len(rows) < params.calibration.samples:
            say(f"{params.calibration.samples} samples were asked for; the data has no more")
        found |= {"calibrationRows": float(len(rows)), "calibrationTokens": float(tokens)}
    if params.algorithm == "awq":
        error = quantize_awq(params.groupSize, rows, work, artifact.size, runs_code)
    else:
        from olive_stage.olive_passes import quantize_olive

        error = quantize_olive(params, source, out, rows, int(found["linearLayers"]), runs_code)
    progress(95, message="checking")
    layers = verify(out)
    size = sum(p.stat().st_size for p in out.rglob("*"))
    metrics = {**found, "weightError": error, "compression": artifact.size / size}
    if torch.cuda.is_available():
        metrics["peakGpuMemoryBytes"] = float(torch.cuda.max_memory_allocated())
    return Made(
        metrics=metrics,
        about={
            **check_folder(out, "the quantized model"),
            "layers": layers,
            "remoteCode": runs_code,
        },
        libraries=("olive-ai", "torch", "transformers", *LIBRARIES.get(params.algorithm, ())),
    )


def quantize_awq(
    group_size: int, rows: list[Tokens], work: Work, size: int, runs_code: bool
) -> float:
    """AWQ of input ``model``; the mean relative error of the layers' weights."""
    from olive_stage.awq import awq  # llm-compressor takes seconds to import
    from olive_stage.repack import pack_layers, save

    source = work.folder("model")
    model = awq(
        lambda device: load_model(source, "auto", device, runs_code),
        load_tokenizer(source, runs_code),
        size,
        rows,
        group_size,
        work.less,
    )
    progress(91, message="packing")
    packed = pack_layers(model)
    save(model, group_size, source, work.out)
    error: float = packed.error
    return error


def verify(folder: Path) -> int:
    """How many layers of the result are packed; RuntimeError if none, or if it names no method."""
    packed = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as tensors:
            packed += sum(name.endswith(".qweight") for name in tensors.keys())  # noqa: SIM118
    if not packed or quantization_of(read_config(folder)) != "olive":
        raise RuntimeError("the pass left a model in which nothing is quantized")
    return packed
