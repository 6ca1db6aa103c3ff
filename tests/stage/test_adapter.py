"""The contract between an adapter and its base, and what converting one costs."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import Fetched
from lab import EXPORT, REPOSITORY, RTN, STAGE, Lab

from olive_contract.artifact import Artifact, describe
from olive_contract.failures import FailureClass


@pytest.fixture(scope="session")
def bases(shared: Lab, fetched: Fetched) -> tuple[str, str]:
    """Exports of one model in two groupings, so two models by key."""
    first, second = (
        shared.make("quantize", {**RTN, "groupSize": group}, model=fetched.model)
        for group in (32, 64)
    )
    return (
        shared.make("export", EXPORT, model=first),
        shared.make("export", EXPORT, model=second),
    )


def lora(shared: Lab, name: str, trained_on: str = "", scale: float = 1.0) -> str:
    """A LoRA artifact on one projection: fetched, or trained on the model of this key."""
    from safetensors.numpy import save_file

    path = "base_model.model.model.layers.0.self_attn.o_proj"
    random = np.random.default_rng(0)
    tensors = {
        f"{path}.lora_A.weight": random.standard_normal((4, 256)).astype(np.float32),
        f"{path}.lora_B.weight": np.full((256, 4), scale, np.float32),
    }
    about = {"trainedOn": trained_on} if trained_on else {"baseModel": "someone/else"}
    key = name.encode().hex().ljust(64, "0")
    with shared.store.building(key) as out:
        save_file(tensors, out / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4}
        (out / "adapter_config.json").write_text(json.dumps(config))
        shared.store.commit(out, Artifact(key, "finetune", {}, {}, describe(out), about=about))
    return key


def test_an_adapter_of_another_model_is_refused_naming_both(
    shared: Lab, bases: tuple[str, str]
) -> None:
    first, second = (shared.artifact(base).about["model"] for base in bases)
    report = shared.run("adapter", {}, base=bases[1], adapter=lora(shared, "ours", first))
    assert report.reason is FailureClass.INVALID_INPUT
    assert report.message == (
        f"the adapter was trained on model {first[:12]} (pvc://demo/model, quantize rtn), "
        f"but the base was exported from model {second[:12]} (pvc://demo/model, quantize rtn)"
    )


def test_a_fetched_adapter_that_misfits_names_the_base_it_was_made_for(
    shared: Lab, bases: tuple[str, str]
) -> None:
    key = lora(shared, "huge", scale=np.inf)
    report = shared.run("adapter", {}, base=bases[0], adapter=key)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "o_proj hold numbers that are not finite" in report.message
    assert "the adapter names someone/else as its base; this base is model" in report.message
    assert "(pvc://demo/model, quantize rtn)" in report.message


def test_a_weight_that_float16_cannot_hold_is_refused_for_a_gpus_graph(
    shared: Lab, fetched: Fetched, bases: tuple[str, str]
) -> None:
    large = lora(shared, "large", scale=1e6)
    assert shared.make("adapter", {}, base=bases[0], adapter=large)
    cuda = {**EXPORT, "device": "gpu", "provider": "CUDAExecutionProvider"}
    base = shared.make("export", cuda, model=shared.artifact(bases[0]).about["model"])
    report = shared.run("adapter", {}, base=base, adapter=large)
    assert report.reason is FailureClass.INVALID_INPUT
    assert "too large for float16" in report.message


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_export_with_an_adapter_computes_what_peft_computes(
    shared: Lab, bases: tuple[str, str], device: str
) -> None:
    """Within the 3 % that int8 weights of the head and int8 activations may cost."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    from olive_stage.checkpoint import load_model
    from olive_stage.olive_lora import make_known
    from olive_stage.onnx_model import OnnxModel

    quantized = shared.artifact(bases[0]).about["model"]
    provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
    base = shared.make(
        "export", {**EXPORT, "device": device, "provider": provider}, model=quantized
    )
    config = LoraConfig(
        r=8,
        lora_alpha=16,
        target_modules=["qkv_proj", "o_proj", "down_proj"],
        init_lora_weights=False,
    )
    torch.manual_seed(0)
    model = load_model(shared.store.path(quantized), torch.float32, "cpu")
    make_known(model, config)
    adapted: PeftModel = get_peft_model(model, config).eval()
    key = f"{device}-peft".encode().hex().ljust(64, "0")
    with shared.store.building(key) as out:
        adapted.save_pretrained(out)
        about = {"trainedOn": quantized}
        shared.store.commit(out, Artifact(key, "finetune", {}, {}, describe(out), about=about))
    converted = shared.make("adapter", {}, base=base, adapter=key)
    tokens = list(range(100, 140))
    with torch.no_grad():
        wanted = adapted(torch.tensor([tokens])).logits[0].numpy()
        with adapted.disable_adapter():
            bare = adapted(torch.tensor([tokens])).logits[0].numpy()
    plain = OnnxModel(shared.store.path(base))
    found = plain.adapted(shared.store.path(converted) / "adapter.onnx_adapter").logits(tokens)
    size = np.linalg.norm(wanted)
    assert np.linalg.norm(wanted - bare) / size > 0.3
    assert np.linalg.norm(wanted - found) / size < 0.03
    assert np.linalg.norm(bare - plain.logits(tokens)) / np.linalg.norm(bare) < 0.03


@pytest.mark.parametrize("kind", ["adapter", "evaluate"])
def test_a_short_stage_imports_no_framework(kind: str) -> None:
    """Torch alone takes seconds to import; these stages are run for every adapter."""
    code = (
        f"import sys, olive_stage.run, olive_stage.{kind}; "
        "print([m for m in ('torch', 'transformers', 'onnx', 'olive') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{STAGE}:{REPOSITORY / 'operator'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
