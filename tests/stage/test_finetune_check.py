"""finetune's check: what it finds and refuses, by the files alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import REPOSITORY, STAGE, Lab, finetune
from loras import lora
from small_models import make

from olive_contract.artifact import Artifact, describe
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import FinetuneParams
from olive_stage.finetune_check import check, projections_of


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("llama"), "llama")


def asked(template: str = "{a} 7 {b}", split: float = 0.25, **changes: Any) -> FinetuneParams:
    return FinetuneParams(template, split, lora(**changes))


def data(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def lines(count: int) -> list[dict[str, Any]]:
    return [{"a": n, "b": "3 4 5 6"} for n in range(count)]


def test_it_counts_what_will_be_trained_on(llama: Path, tmp_path: Path) -> None:
    found = check(asked(maxLength=5), llama, data(tmp_path, *lines(8)))
    assert found == {
        "trainableParameters": 2 * 8 * (128 + 96 + 96 + 128 + 3 * 192),
        "rows": 6,
        "heldOut": 2,
        "tokens": 6 * 5,
        "rowsCut": 6,
        "rowsLeftOut": 0,
        "examples": 6,
    }


def test_packing_makes_fewer_examples(llama: Path, tmp_path: Path) -> None:
    found = check(asked(maxLength=18, packing=True), llama, data(tmp_path, *lines(8)))
    assert found["examples"] == 2


@pytest.mark.parametrize(
    ("params", "rows", "says"),
    [
        pytest.param(
            asked(targetModules=("lm_head",)), lines(8), "names 'lm_head', which is no", id="target"
        ),
        pytest.param(
            asked(layersToTransform=(2,)), lines(8), "the model has 2 layers", id="a layer"
        ),
        pytest.param(asked(rank=64), lines(8), "give a rank of at most 32", id="the rank"),
        pytest.param(asked(split=0.9), lines(1), "leaves none to train on", id="the split"),
        pytest.param(
            asked(template="{a} {c}"), lines(8), "line 1 has no column 'c'", id="a column"
        ),
        pytest.param(
            asked(template="{a}"), [{"a": ""}, {"a": " "}], "nothing to learn", id="empty rows"
        ),
        pytest.param(asked(maxLength=1), lines(8), "look at maxLength", id="too short a limit"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    llama: Path, tmp_path: Path, params: FinetuneParams, rows: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(StageFailure) as error:
        check(params, llama, data(tmp_path, *rows))
    assert says in str(error.value)


def test_a_model_quantized_by_another_method_is_refused(llama: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(llama, model)
    config = json.loads((model / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(StageFailure, match="the model is quantized by 'awq'"):
        check(asked(), model, data(tmp_path, *lines(8)))


@pytest.mark.parametrize("files", [("genai_config.json", "config.json"), ("model.onnx",)])
@pytest.mark.parametrize(
    ("kind", "params"),
    [("finetune", finetune()), ("check", {"kind": "finetune", "params": finetune()})],
)
def test_a_graph_that_a_workflow_left_is_refused(
    lab: Lab, kind: str, params: dict[str, Any], files: tuple[str, ...]
) -> None:
    key = "c" * 64
    with lab.store.building(key) as out:
        for name in files:
            (out / name).write_text("{}")
        lab.store.commit(out, Artifact(key, "workflow", {}, {}, describe(out)))
    report = lab.run(kind, params, model=key, data=key)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "the model is an ONNX one, which cannot be trained on" in report.message


def test_widths_of_packed_layers_are_those_of_the_layers(tmp_path: Path) -> None:
    """Two weights a byte; four where a layer of its own has two bits."""
    import numpy as np
    from safetensors.numpy import save_file

    q, o = "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.o_proj"
    packed = {f"{q}.qweight": (64, 32), f"{o}.qweight": (64, 16), f"{q}.scales": (64, 2)}
    save_file(
        {name: np.zeros(shape, np.uint8) for name, shape in packed.items()},
        tmp_path / "model.safetensors",
    )
    found = projections_of(tmp_path, {"bits": 4, "overrides": {o: {"bits": 2}}})
    assert found == {q: (64, 64), o: (64, 64)}


def test_the_check_needs_no_torch() -> None:
    code = "import olive_stage.finetune_check, sys; print('torch' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{STAGE}:{REPOSITORY / 'operator'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.strip() == "False"
