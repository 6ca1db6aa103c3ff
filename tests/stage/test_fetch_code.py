"""fetch of models that come with pickles or with Python code: refused, or kept when trusted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lab import Lab
from safetensors.torch import load_file
from source_files import ADAPTER, MODEL, config, lora
from standin_hub import COMMIT, Repository, StandinHub, serving

from olive_contract.failures import FailureClass
from olive_contract.keys import content_key
from olive_contract.params import FetchParams
from olive_contract.stage import Report
from olive_stage.model_folder import remote_code
from olive_stage.wanted import variant, wanted

AUTO_MAP = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
OWN = {"model_type": "own", "architectures": ["OwnModel"], "auto_map": AUTO_MAP}
CODE = {"configuration_own.py": b"import own\n", "own.py": b"raise SystemExit('executed')\n"}


def fetch(
    lab: Lab, files: Mapping[str, bytes | None], what: str = "model", **params: Any
) -> Report:
    """The report of fetching these files, put on a claim; what is None is left out."""
    for name, content in files.items():
        if content is not None:
            lab.claim(f"it/{name}", content)
    return lab.run("fetch", {"what": what, "source": "pvc://team/it", **params})


def names(lab: Lab, report: Report) -> list[str]:
    return [file.path for file in lab.artifact(report.key).files]


# Code


def test_a_model_that_names_code_it_does_not_need_comes_without_it(lab: Lab) -> None:
    """As Phi-3.5-mini does, whose type Transformers has itself."""
    named = {"AutoConfig": "configuration_phi3.Phi3Config"}
    report = fetch(lab, {**MODEL, "config.json": config(auto_map=named), **CODE})
    assert report.outcome == "Succeeded", report
    assert not [name for name in names(lab, report) if name.endswith(".py")]
    assert not remote_code(lab.artifact(report.key).about)


def test_a_model_that_needs_its_own_code_is_refused_with_the_field_to_set(lab: Lab) -> None:
    report = fetch(lab, {**MODEL, "config.json": config(**OWN), **CODE})
    assert report.reason is FailureClass.INVALID_INPUT
    assert "model_type own" in report.message
    assert "spec.model.trustRemoteCode" in report.message
    assert "executed" not in report.message


def test_a_model_of_a_type_that_nobody_knows_is_refused(lab: Lab) -> None:
    report = fetch(lab, {**MODEL, "config.json": config(model_type="own")})
    assert report.reason is FailureClass.INVALID_INPUT
    assert "model_type own of pvc://team/it is not one that Transformers " in report.message
    assert "trustRemoteCode" not in report.message


def test_trusted_code_is_kept_not_run_and_told_of(lab: Lab) -> None:
    report = fetch(lab, {**MODEL, "config.json": config(**OWN), **CODE}, trustRemoteCode=True)
    assert report.outcome == "Succeeded", report
    assert set(CODE) <= set(names(lab, report))
    assert remote_code(lab.artifact(report.key).about)


@pytest.mark.parametrize(
    ("named", "failure", "says"),
    [
        ("absent.Own", FailureClass.SOURCE_NOT_FOUND, "names code in absent.py"),
        ("other/repo--own.Own", FailureClass.INVALID_INPUT, "code of another repository"),
        ("../own.Own", FailureClass.INVALID_INPUT, "which is no class"),
        ("own", FailureClass.INVALID_INPUT, "which is no class"),
        (7, FailureClass.INVALID_INPUT, "which is no class"),
    ],
)
def test_trusted_code_must_be_there(lab: Lab, named: Any, failure: FailureClass, says: str) -> None:
    files = {**MODEL, **CODE, "config.json": config(**{**OWN, "auto_map": {"AutoConfig": named}})}
    report = fetch(lab, files, trustRemoteCode=True)
    assert report.reason is failure, report
    assert says in report.message


@pytest.mark.parametrize(
    ("tokenizer_class", "whole", "outcome"),
    [
        pytest.param("OwnTokenizer", True, "Succeeded", id="tokenizer.json is enough"),
        pytest.param("LlamaTokenizer", False, "Succeeded", id="Transformers has the class"),
        pytest.param("OwnTokenizer", False, "Failed", id="its code is needed"),
    ],
)
def test_a_tokenizer_with_code(lab: Lab, tokenizer_class: str, whole: bool, outcome: str) -> None:
    own = {"tokenizer_class": tokenizer_class, "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    files: dict[str, bytes | None] = {
        **MODEL,
        "tokenizer_config.json": json.dumps(own).encode(),
        "tokenizer.model": b"m",
    }
    report = fetch(lab, files if whole else {**files, "tokenizer.json": None})
    assert report.outcome == outcome, report
    assert ("spec.model.trustRemoteCode" in report.message) == (outcome == "Failed")


def test_a_commit_with_code_or_from_pickles_is_another_artifact() -> None:
    both = {"pytorch_model.bin": b"", "config.json": b"", "tokenizer.json": b"", **CODE}

    def address(names: Any, **params: bool) -> str:
        return COMMIT + variant(wanted(names, FetchParams("model", "hf://o/n", **params), "it"))

    assert address([*MODEL, *CODE]) == COMMIT
    assert address([*MODEL, "pytorch_model.bin"], allowPickle=True) == COMMIT
    assert address([*MODEL, *CODE], trustRemoteCode=True) == f"{COMMIT}+code"
    assert address(both, allowPickle=True) == f"{COMMIT}+pickle"
    assert address(both, allowPickle=True, trustRemoteCode=True) == f"{COMMIT}+pickle+code"


# Pickles


def pickled(path: Path, body: Any, **options: Any) -> bytes:
    torch.save(body, path, **options)
    return path.read_bytes()


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    table = torch.arange(32, dtype=torch.bfloat16).reshape(8, 4)
    return {"model.embed_tokens.weight": table, "lm_head.weight": table}


@pytest.mark.parametrize("zipped", [True, False], ids=["torch 1.6 and later", "before torch 1.6"])
def test_pickled_weights_are_kept_as_safetensors(
    lab: Lab, tmp_path: Path, tensors: dict[str, torch.Tensor], zipped: bool
) -> None:
    body = pickled(tmp_path / "p", tensors, _use_new_zipfile_serialization=zipped)
    files = {**MODEL, "model.safetensors": None, "pytorch_model.bin": body}
    report = fetch(lab, files, allowPickle=True)
    assert report.outcome == "Succeeded", report
    assert names(lab, report) == ["config.json", "model.safetensors", "tokenizer.json"]
    found = load_file(lab.store.path(report.key) / "model.safetensors")
    assert {name: t.tolist() for name, t in found.items()} == {
        name: t.tolist() for name, t in tensors.items()
    }


def test_shards_are_read_one_by_one_and_their_index_follows(
    lab: Lab, tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    shards = {name: f"pytorch_model-0000{n}-of-00002.bin" for n, name in enumerate(tensors, 1)}
    files = {**MODEL, "model.safetensors": None}
    for name, shard in shards.items():
        files[shard] = pickled(tmp_path / "p", {name: tensors[name]})
    files["pytorch_model.bin.index.json"] = json.dumps({"weight_map": shards}).encode()
    report = fetch(lab, files, allowPickle=True)
    assert report.outcome == "Succeeded", report
    assert lab.read(report.key, "model.safetensors.index.json")["weight_map"] == {
        "model.embed_tokens.weight": "model-00001-of-00002.safetensors",
        "lm_head.weight": "model-00002-of-00002.safetensors",
    }


def test_a_pickled_adapter_is_kept_as_safetensors(lab: Lab, tmp_path: Path) -> None:
    path = "base_model.model.model.layers.0.mlp.down_proj"
    sides = {f"{path}.lora_A.weight": torch.ones(2, 4), f"{path}.lora_B.weight": torch.ones(4, 2)}
    files = {
        "adapter_config.json": lora(),
        "adapter_model.bin": pickled(tmp_path / "p", sides),
    }
    report = fetch(lab, files, "adapter", allowPickle=True)
    assert names(lab, report) == sorted(ADAPTER), report


def test_safetensors_are_taken_where_there_are_both(lab: Lab) -> None:
    report = fetch(lab, {**MODEL, "pytorch_model.bin": b"never read"}, allowPickle=True)
    assert report.outcome == "Succeeded", report


def test_from_a_hub(lab: Lab, tmp_path: Path) -> None:
    body = pickled(tmp_path / "p", {"model.embed_tokens.weight": torch.ones(8, 4)})
    files = {**MODEL, "pytorch_model.bin": body, **CODE, "config.json": config(**OWN)}
    del files["model.safetensors"]
    with serving(StandinHub({"models/o/n": Repository(files)})) as hub:
        lab.environment = {
            "HF_ENDPOINT": hub.address,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        params = {"what": "model", "source": "hf://o/n", "allowPickle": True}
        stage = lab.input("fetch", {**params, "trustRemoteCode": True})
        code, report, log = lab.finish(lab.start(stage))
    assert code == 0, log
    assert report.key == content_key("model", f"{COMMIT}+pickle+code")
    assert set(names(lab, report)) == {
        "config.json",
        "configuration_own.py",
        "model.safetensors",
        "own.py",
        "tokenizer.json",
    }
