"""fetch from a claim: what is kept, how it is named, and every refusal in words."""

import json
from typing import Any

import pytest
import source_files
from lab import TEMPLATE, Lab
from source_files import ADAPTER, MODEL, config

from olive_contract.failures import FailureClass

ROWS = source_files.ROWS.decode()


def model(lab: Lab, **changes: Any) -> str:
    """A folder that passes for a model, with files changed or (None) left out; its source."""
    files = {
        **MODEL,
        "modeling_evil.py": "import os",
        "pytorch_model.bin": "pickle",
        "original/consolidated.pth": "pickle",
        "LICENSE": "MIT",
        **changes,
    }
    for name, content in files.items():
        if content is not None:
            lab.claim(f"model/{name}", content)
    return "pvc://team/model"


def test_a_model_is_kept_without_code_and_pickles(lab: Lab) -> None:
    key = lab.make("fetch", {"what": "model", "source": model(lab)})
    artifact = lab.artifact(key)
    assert [file.path for file in artifact.files] == [
        "LICENSE",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert artifact.about["architecture"] == "Phi3ForCausalLM"
    assert not lab.leftovers()


EXPORT = {
    **dict.fromkeys(MODEL),
    "model.onnx": "graph",
    "genai_config.json": "{}",
    "tokenizer.json": MODEL["tokenizer.json"],
}


def test_an_export_is_kept_without_code_and_pickles(lab: Lab) -> None:
    source = model(lab, **EXPORT, **{"tokenizer_evil.py": "import os", "tokenizer.bin": "pickle"})
    artifact = lab.artifact(lab.make("fetch", {"what": "model", "source": source}))
    assert [file.path for file in artifact.files] == [
        "LICENSE",
        "genai_config.json",
        "model.onnx",
        "tokenizer.json",
    ]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (
            {"model": {"decoder": [{"session_options": {"custom_ops_library": "x.onnx"}}]}},
            "is code",
        ),
        (["no object"], "is not a JSON object"),
    ],
)
def test_an_export_that_would_run_code_is_refused(lab: Lab, told: Any, says: str) -> None:
    source = model(lab, **{**EXPORT, "genai_config.json": json.dumps(told)})
    report = lab.run("fetch", {"what": "model", "source": source})
    assert report.reason is FailureClass.INVALID_INPUT
    assert says in report.message


def test_the_key_follows_the_content_not_the_place(lab: Lab) -> None:
    first = lab.run("fetch", {"what": "model", "source": model(lab)})
    again = lab.run("fetch", {"what": "model", "source": "pvc://team/model/"})
    assert (first.cached, again.cached, again.key) == (False, True, first.key)
    changed = lab.run("fetch", {"what": "model", "source": model(lab, LICENSE="GPL")})
    assert (changed.cached, changed.key != first.key) == (False, True)


def test_one_copy_of_the_weights_is_kept(lab: Lab) -> None:
    source = model(lab, **{"consolidated.safetensors": "the same weights again"})
    artifact = lab.artifact(lab.make("fetch", {"what": "model", "source": source}))
    weights = [f.path for f in artifact.files if f.path.endswith(".safetensors")]
    assert weights == ["model.safetensors"]


@pytest.mark.parametrize(
    ("changes", "failure", "says"),
    [
        pytest.param(
            {"config.json": None},
            FailureClass.SOURCE_NOT_FOUND,
            "holds no config.json; found there: LICENSE, model",
            id="no config",
        ),
        pytest.param(
            {"tokenizer.json": None},
            FailureClass.SOURCE_NOT_FOUND,
            "no tokenizer",
            id="no tokenizer",
        ),
        pytest.param(
            {"model.safetensors": None},
            FailureClass.INVALID_INPUT,
            "only as pytorch_model.bin, a pickle",
            id="pickle only",
        ),
        pytest.param(
            {"model.safetensors": None, "pytorch_model.bin": None},
            FailureClass.SOURCE_NOT_FOUND,
            "no *.safetensors file",
            id="no weights",
        ),
        pytest.param(
            {"config.json": config(architectures=None)},
            FailureClass.INVALID_INPUT,
            "names no architectures",
            id="config",
        ),
        pytest.param(
            {"config.json": "{"}, FailureClass.INVALID_INPUT, "is not JSON", id="broken config"
        ),
        pytest.param(
            {
                "model.safetensors.index.json": json.dumps(
                    {"weight_map": {"w": "model-00001-of-00002.safetensors"}}
                )
            },
            FailureClass.SOURCE_NOT_FOUND,
            "is not whole: model.safetensors.index.json names model-00001-of-00002.safetensors",
            id="a shard absent",
        ),
    ],
)
def test_what_is_no_usable_model_is_refused(
    lab: Lab, changes: dict[str, Any], failure: FailureClass, says: str
) -> None:
    report = lab.run("fetch", {"what": "model", "source": model(lab, **changes)})
    assert report.reason is failure
    assert says in report.message
    assert not lab.leftovers()


@pytest.mark.parametrize(
    ("source", "failure", "says"),
    [
        ("pvc://other/model", FailureClass.SOURCE_NOT_FOUND, "claim other is not mounted"),
        ("pvc://team/models", FailureClass.SOURCE_NOT_FOUND, "beside it: model, outside"),
        ("pvc://team/../../x", FailureClass.INVALID_INPUT, "leads out of the claim"),
        ("pvc://team/outside", FailureClass.INVALID_INPUT, "leads out of the claim"),
        ("pvc://team/model/LICENSE", FailureClass.INVALID_INPUT, "is a file; name the folder"),
    ],
)
def test_a_wrong_path_is_refused(lab: Lab, source: str, failure: FailureClass, says: str) -> None:
    model(lab)
    (lab.sources / "team" / "outside").symlink_to("/")
    report = lab.run("fetch", {"what": "model", "source": source})
    assert report.reason is failure
    assert says in report.message


def test_data_is_kept_without_blank_lines_and_counted(lab: Lab) -> None:
    params = {"what": "data", "source": lab.claim("rows.jsonl", ROWS), "template": TEMPLATE}
    report = lab.run("fetch", params)
    assert report.metrics == {"rows": 2}
    lines = (lab.store.path(report.key) / "data.jsonl").read_text()
    assert lines == ROWS.replace("\n\n", "\n")


def test_the_same_rows_under_another_name_are_the_same_artifact(lab: Lab) -> None:
    first = lab.make("fetch", {"what": "data", "source": lab.claim("a.jsonl", ROWS)})
    other = lab.run("fetch", {"what": "data", "source": lab.claim("b/c.jsonl", ROWS + "\n\n")})
    assert (other.key, other.cached) == (first, True)


def test_data_that_is_in_the_store_is_still_checked_against_the_template(lab: Lab) -> None:
    source = lab.claim("rows.jsonl", ROWS)
    lab.make("fetch", {"what": "data", "source": source})
    report = lab.run("fetch", {"what": "data", "source": source, "template": "{question}"})
    assert report.reason is FailureClass.INVALID_INPUT
    assert "line 1 has no column 'question'" in report.message


def test_a_wrong_line_is_named_in_the_report(lab: Lab) -> None:
    source = lab.claim("rows.jsonl", ROWS + "not json\n")
    report = lab.run("fetch", {"what": "data", "source": source, "template": TEMPLATE})
    assert report.reason is FailureClass.INVALID_INPUT
    assert report.message.startswith("line 4 is not JSON")


def test_a_folder_is_no_data_set(lab: Lab) -> None:
    lab.claim("rows/a.jsonl", ROWS)
    report = lab.run("fetch", {"what": "data", "source": "pvc://team/rows"})
    assert report.reason is FailureClass.INVALID_INPUT
    assert "name the JSON Lines file in it" in report.message


def test_an_adapter_tells_the_base_it_names(lab: Lab) -> None:
    for name, content in {**ADAPTER, "optimizer.pt": b"pickle"}.items():
        lab.claim(f"lora/{name}", content)
    key = lab.make("fetch", {"what": "adapter", "source": "pvc://team/lora"})
    artifact = lab.artifact(key)
    assert artifact.about["baseModel"] == "owner/base"
    assert len(artifact.files) == 2


@pytest.mark.parametrize(
    ("config", "weights", "says"),
    [
        pytest.param(
            ADAPTER["adapter_config.json"], "adapter_model.bin", "a pickle, which", id="pickle"
        ),
        pytest.param(
            b'{"peft_type": "IA3"}', "adapter_model.safetensors", "type IA3, not a LoRA", id="IA3"
        ),
    ],
)
def test_another_kind_of_adapter_is_refused(
    lab: Lab, config: bytes, weights: str, says: str
) -> None:
    lab.claim("lora/adapter_config.json", config)
    lab.claim(f"lora/{weights}", "weights")
    report = lab.run("fetch", {"what": "adapter", "source": "pvc://team/lora"})
    assert report.reason is FailureClass.INVALID_INPUT
    assert says in report.message


def test_files_are_readable_by_other_users_of_the_volume(lab: Lab) -> None:
    key = lab.make("fetch", {"what": "model", "source": model(lab)})
    modes = {p.stat().st_mode & 0o777 for p in lab.store.path(key).iterdir()}
    assert all(mode & 0o044 == 0o044 for mode in modes)
