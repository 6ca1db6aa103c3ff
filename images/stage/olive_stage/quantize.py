"""quantize: a float model to int4, symmetric, in Olive's checkpoint format.

Olive's passes ``Rtn`` and ``Gptq`` are run as classes: what Olive's engine would add (cache,
search, exit codes that say 0) is what a stage must not have. The head stays float: its rounding is
nearly all of the error (docs/adr).
"""

from pathlib import Path
from typing import Any

from olive.hardware.accelerator import DEFAULT_CPU_ACCELERATOR
from olive.model import HfModelHandler
from olive.passes.olive_pass import create_pass_from_dict
from olive.passes.pytorch.gptq import Gptq
from olive.passes.pytorch.rtn import Rtn
from safetensors import safe_open

from olive_contract.params import QuantizeParams
from olive_stage import calibration
from olive_stage.console import progress, say
from olive_stage.model_folder import check_folder, quantization_of, read_config
from olive_stage.work import Made, Work, invalid

PASSES = {"rtn": Rtn, "gptq": Gptq}
GROUP_SIZES = (16, 32, 64, 128, 256)


def make(params: QuantizeParams, work: Work) -> Made:
    """Quantize input ``model``; input ``calibration`` is read where the algorithm needs data."""
    source = work.folder("model")
    check(params, source)
    size = work.input("model").size
    work.need(size // 3)
    config: dict[str, Any] = {"bits": 4, "group_size": params.groupSize, "sym": True}
    if params.algorithm == "gptq":
        if params.calibration is None:
            raise invalid("gptq needs calibration data; give quantize.calibration, or use rtn")
        found = calibration.samples(params.calibration, work.folder("calibration"), source)
        config["data_config"] = calibration.data_config(found)
        say(f"calibrating with {len(found)} rows")
    progress(5, message=params.algorithm)
    olive_pass = create_pass_from_dict(
        PASSES[params.algorithm],
        config,
        disable_search=True,
        accelerator_spec=DEFAULT_CPU_ACCELERATOR,
    )
    olive_pass.run(HfModelHandler(model_path=str(source)), str(work.out))
    progress(95, message="checking")
    layers = verify(work.out)
    metrics = {"compression": size / sum(p.stat().st_size for p in work.out.rglob("*"))}
    return Made(
        metrics=metrics,
        about={**check_folder(work.out, "the quantized model"), "layers": layers},
        libraries=("olive-ai", "torch", "transformers", "safetensors"),
    )


def check(params: QuantizeParams, source: Path) -> None:
    """InvalidInput if the model is quantized already or the groups do not fit its layers."""
    config = read_config(source)
    if method := quantization_of(config):
        raise invalid(f"the model is quantized already (by {method!r}); leave out quantize")
    widths = input_widths(source)
    fitting = [g for g in GROUP_SIZES if all(width % g == 0 for width in widths)]
    if params.groupSize not in fitting:
        raise invalid(
            f"groupSize {params.groupSize} does not divide the layers' widths "
            f"({', '.join(map(str, sorted(widths)))}); possible: "
            f"{', '.join(map(str, fitting)) or 'none'}"
        )


def input_widths(folder: Path) -> set[int]:
    """Input features of every linear layer inside the decoder, from the files' headers alone."""
    widths = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                if ".layers." in name and name.endswith("proj.weight"):
                    widths.add(tensors.get_slice(name).get_shape()[1])
    if not widths:
        raise invalid("the model has no linear layers named as decoders name them (*_proj)")
    return widths


def verify(folder: Path) -> int:
    """How many layers of the result are packed; RuntimeError if none, or if it names no method."""
    packed = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="np") as tensors:
            packed += sum(name.endswith(".qweight") for name in tensors.keys())  # noqa: SIM118
    if not packed or quantization_of(read_config(folder)) != "olive":
        raise RuntimeError("Olive's pass left a model in which nothing is quantized")
    return packed
