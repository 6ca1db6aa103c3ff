"""What a published version tells of itself: what from, how, how good; and to whom it belongs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from lineage import COMMIT, publication

from olive_stage.publish.card import card, code
from olive_stage.publish.materials import materials
from olive_stage.publish.origin import Origin, origin_of
from olive_stage.publish.version import with_documents


def origin(root: Path, *adapters: str, **given: object) -> Origin:
    return origin_of(publication(root, adapters or ("travel",), **given))  # type: ignore[arg-type]


def test_the_origin_is_followed_back_to_commits_and_digests(tmp_path: Path) -> None:
    found = origin(tmp_path, "travel", "food")
    assert (found.job, found.gates) == ("ml/travel", ("perplexity at most 9.5",))
    assert (found.model.source, found.model.content) == ("hf://owner/model@main", COMMIT)
    assert found.model.license == "mit"
    assert [kind for kind, _ in found.how] == ["quantize", "export"]
    assert found.calibration
    assert found.calibration.source == "https://example.com/calibration.jsonl"
    assert [a.name for a in found.adapters] == ["food", "travel"]
    travel = found.adapters[1]
    assert travel.data
    assert (travel.data.source, travel.data.content) == (
        "pvc://team/travel.jsonl",
        "digest of travel",
    )
    assert travel.training["rank"] == 16
    assert travel.metrics["perplexity"] == 7.25
    assert found.libraries == {"olive-ai": "0.13.0"}
    assert found.swept == ()


def test_the_content_is_that_of_the_files_and_of_nothing_that_was_measured(tmp_path: Path) -> None:
    first = origin(tmp_path / "1", "travel")
    assert origin(tmp_path / "2", "travel", gates=()).content == first.content
    assert origin(tmp_path / "3", "travel", "food").content != first.content


def test_an_artifact_whose_record_is_gone_is_named(tmp_path: Path) -> None:
    work = publication(tmp_path)
    quantized = work.input("base").inputs["model"]
    work.store.discard(quantized)
    found = origin_of(work)
    assert found.swept == (quantized,)
    assert quantized in card(found)
    assert quantized in materials(found)


def test_the_card_tells_hubs_and_people_what_it_is(tmp_path: Path) -> None:
    text = card(origin(tmp_path))
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert (told["base_model"], told["license"]) == ("owner/model", "mit")
    assert told["base_model_relation"] == "quantized"
    for part in ("`ml/travel`", COMMIT, "groupSize 128", "pvc://team/travel.jsonl", "7.25"):
        assert part in body
    assert "Gates that it has passed: perplexity at most 9.5." in body
    assert body.split("\n\n")[0].strip() == "# `travel`"
    assert "with 1 LoRA adapter." in body
    assert "| tokensPerSecond | 41 |" in body


def test_a_license_that_nobody_named_is_not_made_up(tmp_path: Path) -> None:
    found = origin(tmp_path, license="", source="pvc://team/model")
    text = card(found)
    assert "license:" not in text
    assert "ask whoever made it" in text
    assert "licenses" not in json.loads(materials(found))["metadata"]["component"]


HOSTILE = "`</script>` | x\n---\nlicense: mit ``` [a](javascript:b)"


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    found = origin(tmp_path, license=HOSTILE)
    text = card(found)
    assert yaml.safe_load(text.split("\n---\n", 1)[0])["license"] == HOSTILE
    lines = text.split("\n---\n", 1)[1].splitlines()
    assert [line for line in lines if line.startswith(("license:", "---"))] == []


@pytest.mark.parametrize(
    ("text", "span"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a\n\nb", "`a b`"), ("a|b", "`a¦b`")],
)
def test_a_code_span_holds_any_text(text: str, span: str) -> None:
    assert code(text) == span


@pytest.mark.parametrize("adapters", [(), ("travel",), ("travel", "food")])
def test_the_bill_of_materials_is_one(tmp_path: Path, adapters: tuple[str, ...]) -> None:
    text = materials(origin_of(publication(tmp_path, adapters)))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    body = json.loads(text)
    named = {part["name"]: part for part in body["components"]}
    assert named["owner/model"]["purl"] == f"pkg:huggingface/owner/model@{COMMIT}"
    assert named["olive-ai"]["purl"] == "pkg:pypi/olive-ai@0.13.0"
    assert set(adapters) <= named.keys()
    references = {part["bom-ref"] for part in body["components"]}
    assert set(body["dependencies"][0]["dependsOn"]) == references


def test_one_adapter_under_two_names_is_in_the_bill_twice(tmp_path: Path) -> None:
    found = origin(tmp_path)
    (once,) = found.adapters
    made_elsewhere = replace(once, data=None, source=found.calibration)
    twice = (made_elsewhere, replace(made_elsewhere, name="trips"))
    text = materials(replace(found, adapters=twice))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    named = re.findall(r'"bom-ref": "(.*)"', text)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("source", ["pvc://team/a b", "az://c/%zz", "https://h/ü?x=[1]", ""])
def test_no_source_makes_the_bill_invalid(tmp_path: Path, source: str) -> None:
    text = materials(origin(tmp_path, source=source))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_a_version_has_the_base_the_adapters_and_the_documents(tmp_path: Path) -> None:
    work = publication(tmp_path, ("travel", "food"))
    (work.out / "README.md").write_text("card")
    version = with_documents(work, origin_of(work))
    assert [entry.path for entry in version.files] == [
        "README.md",
        "adapters/food/adapter.onnx_adapter",
        "adapters/travel/adapter.onnx_adapter",
        "genai_config.json",
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
    ]
    assert all(entry.file.stat().st_size == entry.size for entry in version.files)
