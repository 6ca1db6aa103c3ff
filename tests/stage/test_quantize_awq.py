"""AWQ: llm-compressor's numbers arrive in Olive's format unchanged, whatever the architecture."""

from pathlib import Path
from typing import Any

import pytest
import small_models
import torch
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.modifiers.transform.awq.mappings import AWQ_MAPPING_REGISTRY
from llmcompressor.utils.helpers import DisableQuantization
from transformers import PreTrainedModel

from olive_contract.failures import FailureClass, StageFailure
from olive_stage import awq
from olive_stage.calibration import batches
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.quantize_check import AWQ_ARCHITECTURES
from olive_stage.repack import pack_layers, save

GROUP = 32
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {},
    "phi3": {},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {},
    "gemma2": {},
    "gemma3_text": {},
    "granite": {},
    "cohere": {},
    "olmo3": {},
    "exaone4": {},
    "seed_oss": {},
}


def loaded(folder: Path) -> PreTrainedModel:
    return load_model(folder, "auto", "cpu")


def calibrate(model: PreTrainedModel, folder: Path, tokens: int = 100) -> None:
    data = batches(small_models.rows(16, 40), tokens)
    awq.calibrate(model, load_tokenizer(folder), data, GROUP, resident=False)


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([small_models.rows(1, 40)[0]])).logits


def linear(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    return {name: layer for name, layer in model.named_modules() if hasattr(layer, "weight_scale")}


@pytest.mark.parametrize("kind", KINDS)
def test_scaling_leaves_the_function_as_it_was(tmp_path: Path, kind: str) -> None:
    """What AWQ moves between a norm and the layers behind it must cancel out."""
    model = loaded(small_models.make(tmp_path / "model", kind, **KINDS[kind]))
    before = logits(model)
    first = {name: weight.clone() for name, weight in model.named_parameters()}
    calibrate(model, tmp_path / "model")
    moved = [
        n for n, layer in linear(model).items() if not layer.weight.equal(first[f"{n}.weight"])
    ]
    assert moved
    with DisableQuantization(model):
        after = logits(model)
    assert torch.allclose(after, before, atol=1e-4, rtol=1e-4)


def test_every_architecture_that_is_accepted_is_tried_and_known_to_llm_compressor(
    tmp_path: Path,
) -> None:
    tried = [
        loaded(small_models.make(tmp_path / kind, kind, **config)).config.architectures[0]
        for kind, config in KINDS.items()
    ]
    assert sorted(tried) == sorted(AWQ_ARCHITECTURES)
    assert set(tried) <= AWQ_MAPPING_REGISTRY.keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2"])
def test_the_checkpoint_holds_the_values_that_llm_compressor_computes_bit_for_bit(
    tmp_path: Path, kind: str, dtype: torch.dtype
) -> None:
    source = small_models.make(tmp_path / "model", kind, **KINDS[kind], dtype=dtype)
    model = loaded(source)
    calibrate(model, source)
    computed = {
        name: fake_quantize(
            layer.weight,
            layer.weight_scale,
            layer.weight_zero_point,
            layer.quantization_scheme.weights,
        )
        for name, layer in linear(model).items()
    }
    expected = logits(model)
    packed = pack_layers(model)
    (tmp_path / "out").mkdir()
    save(model, GROUP, source, tmp_path / "out")
    written = load_model(tmp_path / "out", dtype, "cpu")
    values = {
        name: layer.unpack_and_dequantize(layer.qweight, layer.scales, None)
        for name, layer in written.named_modules()
        if hasattr(layer, "qweight")
    }
    assert values.keys() == computed.keys()
    assert packed.layers == len(values) == 2 * (4 if kind == "phi3" else 7)
    assert all(torch.equal(values[name], computed[name]) for name in computed)
    assert torch.equal(logits(written), expected)
    assert 0.05 < packed.error < 0.15


def test_padding_is_kept_out_of_the_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows in one padded batch and rows one by one excite the channels alike."""
    source = small_models.make(tmp_path / "model", "llama")
    seen: list[tuple[str, int, torch.Tensor]] = []
    search = AWQModifier._compute_best_scale

    def noting(self: AWQModifier, mapping: Any, *rest: Any) -> torch.Tensor:
        total, count = self._smooth_activation_stats[mapping.smooth_name]
        seen.append((mapping.smooth_name, int(count), total))
        return search(self, mapping, *rest)

    monkeypatch.setattr(AWQModifier, "_compute_best_scale", noting)
    for tokens in (1000, 1):
        calibrate(loaded(source), source, tokens)
    padded, alone = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    real = sum(map(len, small_models.rows(16, 40)))
    assert [count for _, count, _ in padded] == [real] * len(padded)
    assert [name for name, _, _ in padded] == [name for name, _, _ in alone]
    assert torch.allclose(padded[0][2], alone[0][2], rtol=1e-4)


class Gpu:
    """A stand-in for a GPU whose memory takes batches of ``limit`` tokens."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.tried: list[int] = []

    def calibrate(self, model: Any, tokenizer: Any, data: Any, *rest: Any) -> None:
        self.tried.append(max(batch["input_ids"].numel() for batch in data))
        if self.tried[-1] > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("limit", "tried"), [(4096, [4096]), (2048, [4096, 2048]), (1024, [4096, 2048, 1024])]
)
def test_out_of_gpu_memory_the_batches_are_halved(
    monkeypatch: pytest.MonkeyPatch, limit: int, tried: list[int]
) -> None:
    gpu = Gpu(limit)
    monkeypatch.setattr(awq, "calibrate", gpu.calibrate)
    rows = [[3] * 512] * 8
    assert awq.awq(lambda device: device, None, 0, rows, GROUP) == "cpu"
    assert gpu.tried == tried


def test_after_attempts_that_ran_out_of_memory_it_begins_layer_by_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu(4096)
    monkeypatch.setattr(awq, "calibrate", gpu.calibrate)
    monkeypatch.setattr(awq, "fits", lambda size: True)
    rows = [[3] * 512] * 8
    assert awq.awq(lambda device: device, None, 0, rows, GROUP) == "cuda"
    assert awq.awq(lambda device: device, None, 0, rows, GROUP, less=1) == "cpu"
    assert awq.awq(lambda device: device, None, 0, rows, GROUP, less=2) == "cpu"
    assert gpu.tried == [4096, 2048, 1024]


def test_with_smaller_batches_the_model_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awq, "BATCH_TOKENS", 160)
    source = small_models.make(tmp_path / "model", "llama")
    found = [
        awq.awq(
            lambda device: loaded(source),
            load_tokenizer(source),
            0,
            small_models.rows(16, 40),
            GROUP,
            less,
        )
        for less in (0, 2)
    ]
    whole, parts = (pack_layers(model) for model in found)
    assert parts.layers == whole.layers
    assert parts.error == pytest.approx(whole.error, rel=0.01)


def test_out_of_gpu_memory_to_the_last_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awq, "calibrate", Gpu(0).calibrate)
    with pytest.raises(StageFailure, match="batches of 1024 tokens and one layer") as caught:
        awq.awq(lambda device: device, None, 0, [[3] * 512] * 8, GROUP)
    assert caught.value.failure is FailureClass.GPU_OUT_OF_MEMORY
