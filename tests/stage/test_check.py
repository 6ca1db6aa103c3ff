"""check: what quantize would refuse is refused on a CPU, in the same words, without torch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_models
from lab import REPOSITORY, STAGE, Lab, finetune
from planted import plant
from safetensors.torch import load_file, save_file

from olive_contract.failures import FailureClass

ROWS = [" ".join(map(str, row)) for row in small_models.rows(20, 30)]
ASKED = {"template": "{text}", "samples": 16, "maxLength": 24}
AWQ = {"algorithm": "awq", "precision": "int4", "groupSize": 32, "calibration": ASKED}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.make(tmp_path_factory.mktemp("made") / "model", "llama")


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def without_linear_layers(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({k.replace("_proj", "_map"): v for k, v in tensors.items()}, path)


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def garbage_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 1}')


def as_it_is(folder: Path) -> None:
    """No change."""


REFUSED = [
    pytest.param(
        config(quantization_config={"quant_method": "awq"}),
        AWQ,
        ROWS,
        "the model is quantized already (by 'awq'); leave out quantize",
        id="quantized already",
    ),
    pytest.param(
        as_it_is, {**AWQ, "groupSize": 256}, ROWS, "groupSize 256 does not divide", id="group size"
    ),
    pytest.param(
        without_linear_layers, AWQ, ROWS, "no linear layers named as decoders", id="no layers"
    ),
    pytest.param(
        config(architectures=["OlmoeForCausalLM"]),
        AWQ,
        ROWS,
        "awq does not know OlmoeForCausalLM",
        id="an architecture that awq does not know",
    ),
    pytest.param(
        as_it_is,
        {**AWQ, "calibration": None},
        ROWS,
        "awq needs calibration data; give quantize.calibration, or use rtn",
        id="no calibration asked for",
    ),
    pytest.param(
        as_it_is, AWQ, ROWS[:3], "has 3 rows of text with", id="a calibration of three rows"
    ),
    pytest.param(
        as_it_is, AWQ, ["5 6"] * 16, "16 rows of text with 32 tokens", id="rows of two tokens"
    ),
    pytest.param(as_it_is, AWQ, [" "] * 16, "has 0 rows of text", id="rows of spaces"),
    pytest.param(
        as_it_is,
        {**AWQ, "calibration": {**ASKED, "template": "{prompt}"}},
        ROWS,
        "has no column 'prompt', which the template names",
        id="a column that is not there",
    ),
    pytest.param(
        as_it_is,
        {**AWQ, "calibration": {**ASKED, "template": "{text"}},
        ROWS,
        "template",
        id="a template that is none",
    ),
    pytest.param(
        config(hidden_size=10**12), AWQ, ROWS, "hidden_size 1000000000000", id="an absurd size"
    ),
    pytest.param(
        config(num_hidden_layers=99), AWQ, ROWS, "num_hidden_layers 99", id="layers not in the file"
    ),
    pytest.param(truncated, AWQ, ROWS, "model.safetensors of the model", id="a truncated file"),
    pytest.param(
        garbage_tokenizer, AWQ, ROWS, "tokenizer.json of the model", id="a tokenizer that is none"
    ),
]


@pytest.mark.parametrize(("damage", "params", "texts", "says"), REFUSED)
def test_check_and_stage_refuse_in_the_same_words(
    lab: Lab,
    llama: Path,
    damage: Callable[[Path], None],
    params: dict[str, Any],
    texts: list[str],
    says: str,
) -> None:
    def model(out: Path) -> None:
        shutil.copytree(llama, out, dirs_exist_ok=True)
        damage(out)

    def data(out: Path) -> None:
        (out / "data.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))

    inputs = {"model": plant(lab, "model", model), "calibration": plant(lab, "data", data)}
    check = lab.run("check", {"kind": "quantize", "params": params}, **inputs)
    stage = lab.run("quantize", params, **inputs)
    assert check.reason is FailureClass.INVALID_INPUT
    assert says in check.message
    assert (stage.reason, stage.message) == (check.reason, check.message)


FINETUNE = {**finetune(), "template": "{text}"}
COUNTED = [
    pytest.param(
        "quantize", AWQ, "calibration", {"linearLayers": 14, "calibrationRows": 16}, id="quantize"
    ),
    pytest.param("finetune", FINETUNE, "data", {"rows": 18, "heldOut": 2}, id="finetune"),
]


@pytest.mark.parametrize(("kind", "params", "role", "counted"), COUNTED)
def test_what_can_be_done_is_counted_without_torch(
    lab: Lab, llama: Path, kind: str, params: dict[str, Any], role: str, counted: dict[str, float]
) -> None:
    def data(out: Path) -> None:
        (out / "data.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in ROWS))

    inputs = {
        "model": plant(lab, "model", lambda out: shutil.copytree(llama, out, dirs_exist_ok=True)),
        role: plant(lab, "data", data),
    }
    forbidden = lab.root / "forbidden"
    forbidden.mkdir()
    (forbidden / "torch.py").write_text("raise RuntimeError('torch is imported')")
    lab.environment["PYTHONPATH"] = f"{forbidden}:{STAGE}:{REPOSITORY / 'operator'}"
    stage = lab.input("check", {"kind": kind, "params": params}, **inputs)
    code, report, log = lab.finish(lab.start(stage))
    assert (code, report.outcome) == (0, "Succeeded"), log
    found = lab.read(report.key, "check.json")
    assert found["kind"] == kind
    assert counted.items() <= found["found"].items()
    assert report.metrics == found["found"]
