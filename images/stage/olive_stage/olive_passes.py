"""Olive's Gptq and Rtn, run as classes, telling how far they are and what the rounding cost."""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from olive.hardware.accelerator import DEFAULT_CPU_ACCELERATOR, DEFAULT_GPU_CUDA_ACCELERATOR
from olive.model import HfModelHandler
from olive.passes.olive_pass import create_pass_from_dict
from olive.passes.pytorch.gptq import Gptq
from olive.passes.pytorch.rtn import Rtn
from safetensors import safe_open

from olive_contract.params import QuantizeParams
from olive_stage.calibration import Tokens, data_config
from olive_stage.companions import copy_companions
from olive_stage.pace import Pace

SAMPLED_ROWS = 1024


class PacedGptq(Gptq):  # type: ignore[misc]
    """Olive's Gptq with a progress line for each linear layer, on the GPU if there is one."""

    pace: Pace

    def process_module(self, module: torch.nn.Module, **settings: Any) -> None:
        Gptq.process_module(module, **settings)
        self.pace.step()


class Model(HfModelHandler):  # type: ignore[misc]
    """Olive's handler of a model, which would read code of the model's own without leave to."""

    def save_metadata(self, output_dir: str, **settings: Any) -> list[str]:
        return [str(path) for path in copy_companions(Path(self.model_path), Path(output_dir))]


def quantize_olive(
    params: QuantizeParams,
    source: Path,
    out: Path,
    rows: list[Tokens],
    layers: int,
    remote_code: bool,
) -> float:
    """Quantize from ``source`` to ``out``; the mean relative error of the ``layers``' weights."""
    config: dict[str, Any] = {"bits": 4, "group_size": params.groupSize, "sym": True}
    if rows:
        config["data_config"] = data_config(rows)
    gpu = torch.cuda.is_available()
    olive_pass = create_pass_from_dict(
        PacedGptq if params.algorithm == "gptq" else Rtn,
        config,
        disable_search=True,
        accelerator_spec=DEFAULT_GPU_CUDA_ACCELERATOR if gpu else DEFAULT_CPU_ACCELERATOR,
    )
    olive_pass.pace = Pace("linear layer", layers, start=5, end=90)
    model = Model(model_path=str(source), load_kwargs={"trust_remote_code": remote_code})
    olive_pass.run(model, str(out))
    return fmean(weight_errors(source, out))


def weight_errors(source: Path, out: Path) -> Iterator[float]:
    """||Q(W) - W|| / ||W|| of every packed layer in ``out`` that ``source`` has as a float.

    Of large layers about SAMPLED_ROWS outputs, evenly spread, speak for all.
    """
    before, after = _Tensors(source), _Tensors(out)
    for name in after.names():
        stem, qweight, _ = name.rpartition("qweight")
        if qweight and f"{stem}weight" in before.names():
            whole = before.read(f"{stem}weight")
            every = slice(None, None, max(1, len(whole) // SAMPLED_ROWS))
            weight, packed = whole[every].float(), after.read(name)[every]
            scales = after.read(f"{stem}scales")[every].float()
            values = torch.stack((packed & 15, packed >> 4), dim=-1).view(*scales.shape, -1)
            rounded = ((values - 8.0) * scales.unsqueeze(-1)).view_as(weight)
            yield float((rounded - weight).norm() / weight.norm())


class _Tensors:
    """The tensors of a folder's safetensors files by name, read one at a time."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.safetensors"))
        files: list[Any] = [safe_open(path, framework="pt") for path in paths]
        self._files = {name: file for file in files for name in file.keys()}  # noqa: SIM118

    def names(self) -> list[str]:
        return list(self._files)

    def read(self, name: str) -> torch.Tensor:
        found: torch.Tensor = self._files[name].get_tensor(name)
        return found
