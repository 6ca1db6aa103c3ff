"""Real trainings of tiny random models: memory, resuming, packing, and PEFT's options."""

import json
import signal
from collections.abc import Callable, Container
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loras import lora
from peft.tuners.lora.layer import LoraLayer
from safetensors.torch import load_file
from small_models import make, rows

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import Lora
from olive_stage import training
from olive_stage.adapter import read_tensors
from olive_stage.checkpoint import load_model
from olive_stage.failing import Cancelled
from olive_stage.lora_mapping import convert
from olive_stage.lora_trainer import LoraTrainer, summed_loss
from olive_stage.olive_lora import add_lora, save_adapter, unpack
from olive_stage.packing import check_packing
from olive_stage.ranks import Ranks
from olive_stage.sites import Site
from olive_stage.training import Trained

ROWS = rows(24, 20)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("phi3"), "phi3")


@pytest.fixture(scope="module")
def int4(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Path:
    """The Llama quantized by Olive."""
    from olive.hardware.accelerator import DEFAULT_CPU_ACCELERATOR
    from olive.model import HfModelHandler
    from olive.passes.olive_pass import create_pass_from_dict
    from olive.passes.pytorch.rtn import Rtn

    out = tmp_path_factory.mktemp("int4")
    config = {"bits": 4, "group_size": 32, "sym": True}
    rtn = create_pass_from_dict(Rtn, config, True, accelerator_spec=DEFAULT_CPU_ACCELERATOR)
    rtn.run(HfModelHandler(model_path=str(llama)), str(out))
    return out


def small(**changes: Any) -> Lora:
    """A training that ends in a second and changes the weights much."""
    usual: dict[str, Any] = {"maxSteps": 6, "batchSize": 8, "learningRate": 1e-2, "dropout": 0.0}
    return lora(**{**usual, **changes})


def examples() -> list[list[list[int]]]:
    return [[row] for row in ROWS[:20]]


def run(
    folder: Path,
    checkpoints: Path,
    asked: Lora,
    change: Callable[[Any], object] = lambda model: None,
    less: int = 0,
) -> Trained:
    """A training on the model in ``folder``, after ``change`` was made to it."""
    torch.manual_seed(asked.seed)
    model = add_lora(load_model(folder), asked)
    change(model)
    held = [[row] for row in ROWS[20:]]
    return training.train(model, asked, examples(), held, 0, checkpoints, Ranks(), False, less)


def values(found: Trained) -> list[float]:
    return [loss for _, loss in found.losses]


def without_memory(at: Container[int]) -> Callable[[Any], None]:
    """As on a GPU that has no memory for these calls of the model, counted from 1."""

    def starve(model: Any) -> None:
        whole, calls = model.forward, count(1)

        def forward(*args: Any, **inputs: Any) -> Any:
            if next(calls) in at:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return whole(*args, **inputs)

        model.forward = forward

    return starve


def test_a_training_learns_and_measures(llama: Path, tmp_path: Path) -> None:
    found = run(llama, tmp_path, small(maxSteps=30))
    assert [step for step, _ in found.losses] == list(range(1, 31))
    assert values(found)[-1] < values(found)[0] - 0.5
    metrics = found.metrics
    assert metrics["trainLoss"] == pytest.approx(sum(values(found)[-10:]) / 10)
    assert metrics["steps"] == 30
    assert metrics["tokensPerSecond"] > 0
    assert (metrics["microBatchSize"], metrics["gradientAccumulation"]) == (8, 1)
    assert metrics["resumedFrom"] == 0


def test_a_step_that_does_not_fit_is_done_in_parts_with_the_same_loss(
    llama: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rows differ in length: every token weighs the same. The third try fails in its second half:
    what the first half left behind is not added."""
    whole = run(llama, tmp_path / "whole", small())
    capfd.readouterr()
    parts = run(llama, tmp_path / "parts", small(), without_memory({1, 2, 4}))
    assert values(parts) == pytest.approx(values(whole), abs=1e-5)
    assert (parts.metrics["microBatchSize"], parts.metrics["gradientAccumulation"]) == (2, 4)
    assert parts.metrics["evalLoss"] == pytest.approx(whole.metrics["evalLoss"], abs=1e-5)
    said = capfd.readouterr().out
    assert "does not fit into the GPU's memory: activations are recomputed from now on" in said
    assert "from now on 4 of 8 rows at a time, 2 times a step" in said
    assert '"message": "step 6 of 6, 2 of 8 rows at a time"' in said


@pytest.mark.parametrize(("less", "micro"), [(1, 4), (2, 2), (9, 1)])
def test_after_attempts_that_ran_out_of_memory_it_begins_in_parts_with_the_same_losses(
    llama: Path, tmp_path: Path, less: int, micro: int
) -> None:
    whole = run(llama, tmp_path / "whole", small())
    parts = run(llama, tmp_path / "parts", small(), less=less)
    assert values(parts) == pytest.approx(values(whole), abs=1e-5)
    assert parts.metrics["microBatchSize"] == micro
    assert parts.metrics["evalLoss"] == pytest.approx(whole.metrics["evalLoss"], abs=1e-5)


def test_a_row_that_does_not_fit_alone_ends_the_training(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(StageFailure, match="lower maxLength or rank: CUDA out of memory") as error:
        run(llama, tmp_path, small(), without_memory(range(1, 99)))
    assert error.value.failure is FailureClass.GPU_OUT_OF_MEMORY


def test_in_bfloat16_the_lora_itself_stays_float32(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the model and every product in bfloat16, small changes to the LoRA not lost."""
    exact = run(llama, tmp_path / "exact", small(maxSteps=30))
    models: list[Any] = []
    for module in ("checkpoint", "lora_trainer"):
        monkeypatch.setattr(f"olive_stage.{module}.compute_dtype", lambda: torch.bfloat16)
    rough = run(llama, tmp_path / "rough", small(maxSteps=30), models.append)
    kinds = {(p.requires_grad, p.dtype) for p in models[0].parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    assert values(rough) == pytest.approx(values(exact), abs=0.1)
    assert values(rough) != values(exact)


def test_recomputed_activations_give_the_same_losses(llama: Path, tmp_path: Path) -> None:
    kept = run(llama, tmp_path / "kept", small(dropout=0.2, gradientCheckpointing=False))
    again = run(llama, tmp_path / "again", small(dropout=0.2, gradientCheckpointing=True))
    assert values(again) == pytest.approx(values(kept), abs=1e-5)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """SIGTERM in the middle of this step."""
    whole = LoraTrainer.accumulate

    def accumulate(self: Any, *args: Any) -> Any:
        if self.state.global_step == step - 1:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, *args)

    monkeypatch.setattr(LoraTrainer, "accumulate", accumulate)


@pytest.mark.parametrize("step", [1, 7, 12], ids=["first", "in between", "last"])
def test_after_sigterm_a_training_goes_on_as_if_nothing_had_been(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Dropout, order, schedule and optimizer included: the same losses to the last bit."""
    asked = small(maxSteps=12, dropout=0.3, batchSize=7)
    straight = run(llama, tmp_path / "straight", asked)
    usual = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Cancelled):
            run(llama, tmp_path / "stopped", asked)
    assert signal.getsignal(signal.SIGTERM) is usual
    assert (tmp_path / "stopped" / f"checkpoint-{step}" / "whole").exists()
    resumed = run(llama, tmp_path / "stopped", asked)
    assert resumed.losses == straight.losses
    assert resumed.metrics["evalLoss"] == straight.metrics["evalLoss"]
    assert resumed.metrics["resumedFrom"] == step


def test_checkpoints_that_would_cost_more_than_they_save_are_left_out(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small(maxSteps=20)
    monkeypatch.setattr("olive_stage.watch.SECONDS_A_BYTE", 0.0)
    run(llama, tmp_path / "cheap", asked)
    assert [path.name for path in (tmp_path / "cheap").iterdir()] == ["checkpoint-10"]
    monkeypatch.setattr("olive_stage.watch.SECONDS_A_BYTE", 1.0)
    run(llama, tmp_path / "dear", asked)
    assert not list((tmp_path / "dear").glob("*"))


def test_a_loss_that_is_no_number_ends_the_training_at_once(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(StageFailure, match=r"the loss diverged at step [23].*lower learningRate"):
        run(llama, tmp_path, small(learningRate=1e30, maxSteps=50, warmupRatio=0))


def test_a_loss_that_goes_up_for_good_ends_the_training(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(StageFailure, match="the loss diverged at step") as error:
        run(llama, tmp_path, small(maxSteps=90), destroyed_after(40))
    assert error.value.failure is FailureClass.STAGE_ERROR


def destroyed_after(steps: int) -> Callable[[Any], None]:
    """A model that is sure of anything but the truth from then on."""

    def change(model: Any) -> None:
        whole, calls = model.forward, count(1)

        def forward(*args: Any, **inputs: Any) -> Any:
            found = whole(*args, **inputs)
            if next(calls) > steps:
                found.logits = 0 * found.logits + 30 * torch.randn_like(found.logits)
            return found

        model.forward = forward

    return change


def test_packed_rows_say_what_they_say_alone(llama: Path, phi3: Path) -> None:
    for folder in (llama, phi3):
        model = add_lora(load_model(folder), small()).eval()
        with torch.no_grad():
            alone = summed_loss(model, [[row] for row in ROWS[:6]], 0)
            packed = summed_loss(model, [ROWS[:3], ROWS[3:4], ROWS[4:6]], 0)
        assert float(packed) == pytest.approx(float(alone), rel=1e-5)


def test_a_model_that_mixes_packed_rows_is_found_out(llama: Path) -> None:
    model = add_lora(load_model(llama), small())
    check_packing(model, ROWS)
    whole = model.forward

    def forward(position_ids: torch.Tensor, **inputs: Any) -> Any:
        return whole(**inputs)

    model.forward = forward
    with pytest.raises(StageFailure, match=r"set lora\.packing to false"):
        check_packing(model, ROWS)


def test_packed_rows_are_kept_apart_in_bfloat16_too(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("checkpoint", "lora_trainer"):
        monkeypatch.setattr(f"olive_stage.{module}.compute_dtype", lambda: torch.bfloat16)
    check_packing(add_lora(load_model(llama), small()), ROWS)


def test_a_training_with_packed_rows_learns(llama: Path, tmp_path: Path) -> None:
    asked = small(maxSteps=30, batchSize=3, packing=True)
    model = add_lora(load_model(llama), asked)
    packs = [ROWS[n : n + 3] for n in range(0, 18, 3)]
    found = training.train(model, asked, packs, [], 0, tmp_path, Ranks(), False)
    assert values(found)[-1] < values(found)[0] - 0.5
    assert "evalLoss" not in found.metrics


def test_unpacked_weights_have_the_very_values_of_packed_ones(int4: Path, tmp_path: Path) -> None:
    packed, plain = load_model(int4), load_model(int4)
    unpack(plain)
    tokens = torch.tensor([ROWS[0]])
    with torch.no_grad():
        assert torch.equal(packed(tokens).logits, plain(tokens).logits)
    name = "model.layers.0.mlp.down_proj"
    assert type(plain.get_submodule(name)) is torch.nn.Linear
    with_packed = run(int4, tmp_path / "packed", small())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("test_training.load_model", lambda folder: plain)
        with_plain = run(int4, tmp_path / "plain", small())
    assert with_plain.losses == with_packed.losses


SITES = {
    "q_proj": ("attn", 64, 64),
    "k_proj": ("attn", 64, 32),
    "v_proj": ("attn", 64, 32),
    "o_proj": ("attn", 64, 64),
    "gate_proj": ("mlp", 64, 128),
    "up_proj": ("mlp", 64, 128),
    "down_proj": ("mlp", 128, 64),
}
FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


@pytest.mark.parametrize("kind", ["llama", "phi3"])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="every layer"),
        pytest.param({"rankStabilized": True, "alpha": 3.0}, id="rank-stabilized"),
        pytest.param({"rankPattern": {"o_proj": 2, "down_proj": 16}}, id="ranks by name"),
        pytest.param({"alphaPattern": {r"0\.self_attn\.o_proj": 40.0}}, id="alphas by name"),
        pytest.param({"layersToTransform": (1,), "targetModules": ("o_proj",)}, id="few"),
        pytest.param({"excludeModules": ("mlp.down_proj",)}, id="without some"),
    ],
)
def test_what_is_served_is_what_peft_trains(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    """The change to every projection's weights, by PEFT and by our own conversion."""
    model = add_lora(load_model(request.getfixturevalue(kind)), small(**changes))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    save_adapter(model, tmp_path, "trained-on")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    sites = [
        Site(f"model.layers.{layer}.{block}.{name}", wide, long)
        for layer in range(2)
        for name, (block, wide, long) in SITES.items()
    ]
    served = convert(config, read_tensors(tmp_path / "adapter_model.safetensors"), sites)
    expected = {}
    for name, layer in model.base_model.model.named_modules():
        if isinstance(layer, LoraLayer):
            change = layer.get_delta_weight("default").detach().numpy()
            number, own = name.split(".")[2], name.rsplit(".", 1)[1]
            parts = FUSED.get(own, (own,))
            cuts = np.cumsum([SITES[part][2] for part in parts])[:-1]
            for part, piece in zip(parts, np.split(change, cuts), strict=True):
                expected[f"model.layers.{number}.{SITES[part][0]}.{part}"] = piece
    for site, (a, b) in served.items():
        change = expected.pop(site, np.zeros((b.shape[1], a.shape[0])))
        np.testing.assert_allclose((a @ b).T, change, rtol=1e-4, atol=1e-5)
    assert not expected


def test_the_adapter_is_written_in_float32_and_names_its_base_by_key(
    llama: Path, tmp_path: Path
) -> None:
    save_adapter(add_lora(load_model(llama), small()), tmp_path, "trained-on")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "trained-on"
    assert config["target_modules"] == sorted(config["target_modules"])
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_the_schedule_is_what_was_asked_for(tmp_path: Path) -> None:
    asked = small(maxSteps=50, warmupRatio=0.1, schedule="cosine", weightDecay=0.3)
    found = training.arguments(asked, tmp_path, cpu=True)
    assert found.lr_scheduler_type == "cosine"
    assert found.warmup_steps == 5
    assert found.weight_decay == 0.3
