"""The contract: keys that name content, artifacts that are whole, reports that fit."""

import json
from pathlib import Path

import pytest

from olive_contract.artifact import Artifact, describe
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import artifact_key, content_key
from olive_contract.params import (
    OCI,
    AzureML,
    FinetuneParams,
    HuggingFace,
    Lora,
    PublishParams,
    body_of,
    params_of,
)
from olive_contract.stage import REPORT_LIMIT, Progress, Published, Report, StageInput
from olive_contract.store import Store

KEY = "a" * 64


def written(store: Store, text: str = "weights") -> Artifact:
    with store.building(KEY) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "model").write_text(text)
        artifact = Artifact(KEY, "export", {}, {}, describe(folder))
        store.commit(folder, artifact)
    return artifact


def test_key_is_the_same_wherever_and_however_it_is_computed() -> None:
    one = artifact_key("quantize", {"a": 1, "b": [1, 2]}, {"model": KEY})
    two = artifact_key("quantize", {"b": [1, 2], "a": 1}, {"model": KEY})
    assert one == two
    assert len(one) == 64


@pytest.mark.parametrize(
    "other",
    [
        artifact_key("export", {"a": 1}, {"model": KEY}),
        artifact_key("quantize", {"a": 2}, {"model": KEY}),
        artifact_key("quantize", {"a": 1}, {"model": "b" * 64}),
        artifact_key("quantize", {"a": 1}, {"data": KEY}),
        content_key("model", "x"),
    ],
    ids=["kind", "parameter", "input", "role", "content"],
)
def test_key_changes_with_everything_that_decides_the_content(other: str) -> None:
    assert other != artifact_key("quantize", {"a": 1}, {"model": KEY})


def test_whole_number_and_fraction_are_one_parameter() -> None:
    lora = {"rank": 8, "maxSteps": 1, "batchSize": 1, "learningRate": 1, "maxLength": 9, "seed": 0}
    bodies = [{"template": "t", "evalSplit": 0, "lora": {**lora, "alpha": a}} for a in (16, 16.0)]
    one, two = (params_of("finetune", body) for body in bodies)
    assert body_of(one) == body_of(two)
    assert one == FinetuneParams("t", 0.0, Lora(8, 16.0, 1, 1, 1.0, 9, 0))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"template": "t", "evalSplit": 0.1}, "field 'lora' is missing"),
        ({"template": 1, "evalSplit": 0.1, "lora": {}}, "template: str is needed, not 1"),
        ({"template": "t", "evalSplit": True, "lora": {}}, "evalSplit: float is needed, not True"),
        ({"template": "t", "evalSplit": 0.1, "lora": {}, "x": 1}, "unknown field 'x'"),
        ({"template": "t", "evalSplit": 0.1, "lora": []}, "lora: an object is needed"),
    ],
)
def test_wrong_parameters_are_named(body: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        params_of("finetune", body)


def test_artifact_is_found_opened_and_verified(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = written(store)
    assert store.find(KEY) == store.open(KEY) == artifact
    assert artifact.size == 7
    assert list((tmp_path / ".building").iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "sub" / "model").write_text("weighty"), "is not what was written"),
        (lambda f: (f / "sub" / "model").write_text("w"), "is not what was written"),
        (lambda f: (f / "sub" / "model").unlink(), "sub/model is absent"),
        (lambda f: (f / "artifact.json").write_text("{"), "is damaged"),
        (lambda f: (f / "artifact.json").unlink(), "not on the volume"),
    ],
    ids=["changed", "cut", "deleted", "description damaged", "description deleted"],
)
def test_damaged_artifact_is_refused_by_name(tmp_path: Path, damage: object, says: str) -> None:
    store = Store(tmp_path)
    written(store)
    damage(store.path(KEY))  # type: ignore[operator]
    with pytest.raises(StageFailure, match=says) as raised:
        store.open(KEY)
    assert raised.value.failure == FailureClass.INPUT_MISSING
    assert raised.value.missing == KEY
    store.discard(KEY)
    assert store.find(KEY) is None
    assert written(store) == store.open(KEY)


def test_stage_that_ends_halfway_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def break_off() -> None:
        with store.building(KEY) as folder:
            (folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert store.find(KEY) is None
    assert list((tmp_path / ".building").iterdir()) == []


def test_second_writer_of_a_key_finds_the_first_ones(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.building(KEY) as folder:
        (folder / "model").write_text("late")
        first = written(store)
        store.commit(folder, Artifact(KEY, "export", {}, {}, describe(folder)))
    assert store.open(KEY) == first


def test_scratch_stays_until_the_artifact_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.scratch(KEY) / "checkpoint").write_text("x")
    assert (store.scratch(KEY) / "checkpoint").exists()
    written(store)
    assert not (tmp_path / ".scratch" / KEY).exists()


def test_link_is_no_part_of_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="link is a link"):
        describe(tmp_path)


@pytest.mark.parametrize("message", ["short", "x" * 9000, "é" * 9000, '"\n' * 5000])
def test_report_fits_the_termination_message(message: str) -> None:
    report = Report("Failed", reason=FailureClass.STAGE_ERROR, message=message)
    text = report.to_json()
    assert len(text.encode()) <= REPORT_LIMIT
    found = Report.from_json(text)
    assert found.reason == FailureClass.STAGE_ERROR
    assert found.message.startswith(message[:50])
    assert found.message.endswith(message[-50:])


@pytest.mark.parametrize("text", ["", "Traceback …", "[1]", '{"outcome": "Perhaps"}'])
def test_what_is_no_report_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Report.from_json(text)


@pytest.mark.parametrize(
    "given",
    [
        StageInput("finetune/a", "finetune", {"x": [1]}, {"model": KEY}, KEY),
        StageInput("publish/oci", "publish", {}, {}, KEY, job="ml/a", gates=("f1 at least 0.5",)),
    ],
    ids=["finetune", "publish"],
)
def test_stage_input_goes_there_and_back(given: StageInput) -> None:
    assert StageInput.from_json(given.to_json()) == given


def test_stage_input_of_an_operator_before_there_was_publishing_is_read() -> None:
    """An attempt of the version before may be there while the operator is renewed."""
    told = json.loads(StageInput("export", "export", {}, {}, KEY).to_json())
    del told["job"], told["gates"]
    assert StageInput.from_json(json.dumps(told)) == StageInput("export", "export", {}, {}, KEY)


@pytest.mark.parametrize(
    "params",
    [
        PublishParams(azureML=AzureML("travel", registry="models", tags={"team": "ml"})),
        PublishParams(huggingFace=HuggingFace("acme/travel")),
        PublishParams(oci=OCI("registry.example.com/travel:v1")),
    ],
    ids=["azureML", "huggingFace", "oci"],
)
def test_target_goes_there_and_back(params: PublishParams) -> None:
    assert params_of("publish", json.loads(json.dumps(body_of(params)))) == params


def test_report_says_where_a_version_is_however_long_its_message() -> None:
    version = Published("hf://acme/travel@4f1c", "https://example.com/acme/travel")
    report = Report("Succeeded", key=KEY, message="x" * 9000, published=version)
    assert Report.from_json(report.to_json()).published == version


def test_artifact_of_a_publication_says_where_the_version_is() -> None:
    told = {"published": {"reference": "hf://acme/travel@4f1c"}}
    artifact = Artifact(KEY, "publish", {}, {}, (), about=told)
    assert artifact.published == Published("hf://acme/travel@4f1c")
    assert Artifact(KEY, "export", {}, {}, ()).published is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (Progress(42, 7, 0.5, "step 42/100").to_line(), Progress(42, 7, 0.5, "step 42/100")),
        (Progress(0).to_line(), Progress(0)),
        ("an ordinary line", None),
        ('{"progress": {"percent": "x"}}', None),
        ('{"progress"', None),
        (json.dumps({"event": "other"}), None),
    ],
)
def test_progress_is_read_from_its_own_lines_only(line: str, found: Progress | None) -> None:
    assert Progress.from_line(line) == found
