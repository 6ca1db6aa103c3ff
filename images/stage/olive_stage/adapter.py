"""adapter: a PEFT LoRA as an ONNX Runtime adapter for one exported base. About a second, no torch.

ONNX Runtime itself says only "Invalid input name" of an adapter that was made for another base, and
only when it is served. What must agree is therefore checked here: the key of the model that it was
trained on, number of layers, names and shapes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from safetensors import deserialize, safe_open

from olive_contract.artifact import Artifact
from olive_contract.failures import StageFailure
from olive_contract.params import AdapterParams
from olive_contract.store import Store
from olive_stage.adapter_folder import CONFIG, WEIGHTS, check_adapter
from olive_stage.genai_folder import ADAPTER_FILE
from olive_stage.json_file import read_json
from olive_stage.lora_mapping import Array, convert
from olive_stage.origin import described
from olive_stage.safetensors_file import read_header
from olive_stage.sites import inputs_of, sites_of
from olive_stage.work import Made, Work, invalid

FORMAT_VERSION = 1
PLACE = "the adapter"
FLOATS = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "BF16": np.uint16}
"""Types that weights may have, as safetensors names them, and as numpy reads them."""


def make(params: AdapterParams, work: Work) -> Made:
    """Convert input ``adapter`` for input ``base``; the artifact holds one file."""
    check_origin(work.input("base"), work.input("adapter"), work.store)
    folder = work.folder("adapter")
    check_adapter(folder, PLACE)
    config = read_json(folder / CONFIG, PLACE)
    sites = sites_of(work.input("base").about)
    try:
        arrays = convert(config, read_tensors(folder / WEIGHTS), sites)
    except StageFailure as failure:
        raise invalid(f"{failure}{bases(work)}") from failure
    values: dict[str, Any] = {}
    for site in sites:
        for name, array in zip(inputs_of(site.name), arrays[site.name], strict=True):
            values[name] = ort.OrtValue.ortvalue_from_numpy(array)
    work.need(sum(a.nbytes + b.nbytes for a, b in arrays.values()))
    adapter = ort.AdapterFormat()
    adapter.set_adapter_version(FORMAT_VERSION)
    adapter.set_model_version(FORMAT_VERSION)
    adapter.set_parameters(values)
    adapter.export_adapter(str(work.out / ADAPTER_FILE))
    check(work.out / ADAPTER_FILE, set(values))
    rank = next(iter(arrays.values()))[0].shape[1]
    return Made(
        metrics={"rank": float(rank)},
        about={
            "base": work.input("base").key,
            "model": work.input("base").about["model"],
            "rank": rank,
        },
        libraries=("onnxruntime", "safetensors", "numpy"),
    )


def check_origin(base: Artifact, adapter: Artifact, store: Store) -> None:
    """InvalidInput unless both come from one model; a fetched adapter cannot say, and passes."""
    trained_on, exported_from = adapter.about.get("trainedOn"), base.about["model"]
    if trained_on and trained_on != exported_from:
        raise invalid(
            f"the adapter was trained on model {described(store, trained_on)}, "
            f"but the base was exported from model {described(store, exported_from)}"
        )


def bases(work: Work) -> str:
    """The base that a fetched adapter names and the base that it is converted for, if it does."""
    named = work.input("adapter").about.get("baseModel")
    if not named:
        return ""
    base = described(work.store, work.input("base").about["model"])
    return f" (the adapter names {named} as its base; this base is model {base})"


def read_tensors(path: Path) -> dict[str, Array]:
    """All tensors of a safetensors file as float32; bfloat16, which numpy lacks, included."""
    types = {name: tensor.dtype for name, tensor in read_header(path, PLACE).items()}
    for name, kind in types.items():
        if kind not in FLOATS:
            raise invalid(f"the adapter's {name} is of type {kind}; floats are needed")
    if "BF16" in types.values():
        found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        return {name: _widened(body) for name, body in found}
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).astype(np.float32, copy=False) for name in types}


def _widened(body: dict[str, Any]) -> Array:
    data, shape = bytes(body["data"]), body["shape"]
    if body["dtype"] == "BF16":
        wide = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    return np.frombuffer(data, FLOATS[body["dtype"]]).astype(np.float32).reshape(shape)


def check(path: Path, names: set[str]) -> None:
    """RuntimeError unless the file reads back with exactly these tensors."""
    if set(ort.AdapterFormat.read_adapter(str(path)).get_parameters()) != names:
        raise RuntimeError("the adapter's file does not hold what was written")
