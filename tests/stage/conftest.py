"""Fixtures: a lab for each test, the tiny model, and the chain that it goes through once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.update(HF_HUB_OFFLINE="1", CI="1", ORT_DISABLE_TELEMETRY="1")
os.environ.update(TOKENIZERS_PARALLELISM="false", OMP_WAIT_POLICY="PASSIVE")
sys.path.insert(0, str(Path(__file__).parent))  # lab and standin_hub, whatever the working folder
sys.path.insert(1, str(Path(__file__).parent / "azure_cloud"))

from lab import EVALUATE, EXAMPLE, EXPORT, GPTQ, RTN, TEMPLATE, Lab, finetune


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An empty store and an empty claim."""
    monkeypatch.setenv("OLIVE_SOURCES", str(tmp_path / "sources"))
    return Lab(tmp_path)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for all tests of the session, with the tiny model and the data sets on its claim."""
    lab = Lab(tmp_path_factory.mktemp("shared"))
    claim = lab.sources / "demo"
    shutil.copytree(EXAMPLE, claim / "data", ignore=shutil.ignore_patterns("*.py"))
    command = [sys.executable, str(EXAMPLE / "make_model.py"), claim / "model", claim / "data"]
    subprocess.run(command, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLIVE_SOURCES", str(lab.sources))
        yield lab


@pytest.fixture(scope="session")
def running_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Azure's stand-in, started once."""
    from cloud import cloud  # Azure's clients take three seconds to import

    with cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture
def cloud(running_cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The cloud, empty, with this process as a pod whose service account is federated."""
    running_cloud.plane.forget()
    running_cloud.wire.forget()
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "")  # MLClient sets it for the whole process
    monkeypatch.delenv("AZUREML_CURRENT_CLOUD")
    for name, value in running_cloud.federated().items():
        monkeypatch.setenv(name, value)
    return running_cloud


@dataclass(frozen=True)
class Fetched:
    """Keys of the fetched model and data sets."""

    model: str
    travel: str
    food: str


@pytest.fixture(scope="session")
def fetched(shared: Lab) -> Fetched:
    def data(name: str) -> str:
        source = f"pvc://demo/data/{name}.jsonl"
        return shared.make("fetch", {"what": "data", "source": source, "template": TEMPLATE})

    model = shared.make("fetch", {"what": "model", "source": "pvc://demo/model"})
    return Fetched(model, data("travel"), data("food"))


@dataclass(frozen=True)
class Chain:
    """Keys of everything from the quantized model to the evaluation of its travel adapter."""

    quantized: str
    trained: str
    base: str
    adapter: str
    evaluation: str


def run_chain(lab: Lab, fetched: Fetched, quantized: str, precision: str = "int4") -> Chain:
    trained = lab.make("finetune", finetune(), model=quantized, data=fetched.travel)
    base = lab.make("export", {**EXPORT, "precision": precision}, model=quantized)
    adapter = lab.make("adapter", {}, base=base, adapter=trained)
    found = lab.make("evaluate", EVALUATE, base=base, adapter=adapter, data=fetched.travel)
    return Chain(quantized, trained, base, adapter, found)


@pytest.fixture(scope="session")
def rtn(shared: Lab, fetched: Fetched) -> Chain:
    """The chain on a model quantized without data."""
    return run_chain(shared, fetched, shared.make("quantize", RTN, model=fetched.model))


@pytest.fixture(scope="session")
def gptq(shared: Lab, fetched: Fetched) -> Chain:
    """The chain on a model quantized with calibration data."""
    inputs = {"model": fetched.model, "calibration": fetched.travel}
    return run_chain(shared, fetched, shared.make("quantize", GPTQ, **inputs))


@pytest.fixture(scope="session")
def unquantized(shared: Lab, fetched: Fetched) -> Chain:
    """The chain on the float model."""
    return run_chain(shared, fetched, fetched.model, "fp32")
