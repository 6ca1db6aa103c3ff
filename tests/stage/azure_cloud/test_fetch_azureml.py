"""Models, adapters and data from Azure ML: a version of a model, or a path of a datastore."""

import json
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml.entities import Model
from azure.storage.blob import LinearRetry
from cloud import BLOBS, Cloud
from lab import EXAMPLE, TEMPLATE, Lab
from resources import CONTAINER, DATASTORE, REGISTRY
from source_files import MODEL
from test_publish_azureml import URI, Story, client

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_stage.azure_ml import storage

ROWS = (EXAMPLE / "travel.jsonl").read_bytes()
EXPORTED = {
    "model.onnx": b"graph",
    "model.onnx.data": bytes(range(256)) * (20 << 10),
    "genai_config.json": b"{}",
    "tokenizer.json": json.dumps(
        {
            "version": "1.0",
            "model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"},
        }
    ).encode(),
}


@pytest.fixture
def story(cloud: Cloud, tmp_path: Path) -> Story:
    (tmp_path / "story").mkdir()
    return Story(cloud, tmp_path / "story")


def fetch(lab: Lab, what: str, source: str) -> Report:
    params: dict[str, Any] = {"what": what, "source": source}
    if what == "data":
        params["template"] = TEMPLATE
    return lab.run("fetch", params)


def folder(lab: Lab, report: Report) -> dict[str, bytes]:
    assert report.outcome == "Succeeded", report.message
    root = lab.store.path(report.key)
    return {p.name: p.read_bytes() for p in root.iterdir() if p.name != "artifact.json"}


@pytest.mark.parametrize("by_identity", [False, True], ids=["account key", "identity"])
@pytest.mark.parametrize("where", ["workspace", "registry"])
def test_what_was_published_is_a_source_of_another_job(
    story: Story, lab: Lab, where: str, by_identity: bool
) -> None:
    story.cloud.plane.resources.by_identity = by_identity
    published = story.publish(where, base_files=EXPORTED)
    report = fetch(lab, "model", published.reference)
    assert folder(lab, report) == EXPORTED
    about = lab.artifact(report.key).about
    assert (about["source"], about["license"]) == (published.reference, "mit")


def test_a_version_is_fetched_once_for_all_time(story: Story, lab: Lab) -> None:
    source = story.publish(base_files=EXPORTED).reference
    first = fetch(lab, "model", source)
    cut = story.cloud.wire.cut(BLOBS, after=0)
    again = fetch(lab, "model", source)
    assert (again.key, again.cached) == (first.key, True)
    assert cut.times == 1, "storage was not asked"


def test_what_is_kept_of_a_version_is_what_this_job_trusts(story: Story, lab: Lab) -> None:
    config = json.loads(MODEL["config.json"]) | {"auto_map": {"AutoModel": "modeling_own.Own"}}
    files = {**MODEL, "config.json": json.dumps(config), "modeling_own.py": "class Own: ..."}
    container = story.cloud.storage.get_container_client(CONTAINER)
    for name, content in files.items():
        container.upload_blob(f"own/{name}", content, overwrite=True)
    path = f"{URI}/datastores/{DATASTORE}/paths/own"
    client("workspace").models.create_or_update(Model(name="own", version="1", path=path))
    source = {"what": "model", "source": f"{URI}/models/own/versions/1"}
    trusting = lab.run("fetch", {**source, "trustRemoteCode": True})
    assert "modeling_own.py" in folder(lab, trusting)
    assert "modeling_own.py" not in folder(lab, lab.run("fetch", source))


def test_a_version_that_is_made_anew_is_another(story: Story, lab: Lab) -> None:
    source = story.publish(base_files=EXPORTED).reference
    first = fetch(lab, "model", source)
    story.cloud.plane.resources.workspace.versions.clear()
    story.publish(base_files={**EXPORTED, "model.onnx": b"another graph"})
    assert fetch(lab, "model", source).key != first.key


@pytest.mark.parametrize("begin", [URI, URI.replace("resourcegroups", "resourceGroups")])
def test_data_is_read_from_a_datastore(story: Story, lab: Lab, begin: str) -> None:
    blob = story.cloud.storage.get_blob_client(CONTAINER, "trips/travel.jsonl")
    blob.upload_blob(ROWS, overwrite=True)
    source = f"{begin}/datastores/{DATASTORE}/paths/trips/travel.jsonl"
    report = fetch(lab, "data", source)
    assert report.outcome == "Succeeded", report.message
    assert report.metrics["rows"] == len(ROWS.splitlines())


def test_the_model_of_a_version_may_be_in_a_folder_of_its_own(story: Story, lab: Lab) -> None:
    container = story.cloud.storage.get_container_client(CONTAINER)
    for name, content in {**EXPORTED, "MLmodel": b""}.items():
        place = f"deep/{name}" if name == "MLmodel" else f"deep/artifacts/model/{name}"
        container.upload_blob(place, content, overwrite=True)
    path = f"{URI}/datastores/{DATASTORE}/paths/deep"
    client("workspace").models.create_or_update(Model(name="deep", version="7", path=path))
    assert folder(lab, fetch(lab, "model", f"{URI}/models/deep/versions/7")) == EXPORTED


def test_a_download_that_was_cut_goes_on(
    story: Story, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = story.publish(base_files=EXPORTED).reference
    monkeypatch.setattr(storage, "RETRIES", LinearRetry(retry_total=0))
    asked: list[int] = []
    whole = storage.Storage.client.fget  # type: ignore[attr-defined]

    def breaking(self: storage.Storage) -> Any:
        found = whole(self)
        real = found.get_blob_client

        def blob(name: str) -> Any:
            opened = real(name)
            download = opened.download_blob

            def once(**given: Any) -> Any:
                asked.append(given["offset"])
                if given["offset"] and asked.count(given["offset"]) == 1:
                    story.cloud.wire.cut(BLOBS, after=0)
                return download(**given)

            opened.download_blob = once
            return opened

        found.get_blob_client = blob
        return found

    monkeypatch.setattr(storage.Storage, "client", property(breaking))
    failure = fetch(lab, "model", source)
    assert failure.reason is FailureClass.STAGE_ERROR
    assert folder(lab, fetch(lab, "model", source)) == EXPORTED
    assert asked.count(4 << 20) == 2
    assert sorted(asked)[-1] == 4 << 20


@pytest.mark.parametrize(
    ("source", "reason", "says"),
    [
        (f"{URI}/models/travel/versions/9", FailureClass.SOURCE_NOT_FOUND, "is not there"),
        (
            f"azureml://registries/{REGISTRY}/models/travel/versions/9",
            FailureClass.SOURCE_NOT_FOUND,
            "is not there",
        ),
        (
            f"{URI}/datastores/{DATASTORE}/paths/nowhere",
            FailureClass.SOURCE_NOT_FOUND,
            "is not there",
        ),
        (f"{URI}/datastores/none/paths/x", FailureClass.SOURCE_NOT_FOUND, "is not there"),
        (f"{URI}/models/travel", FailureClass.INVALID_INPUT, "is no source for a model"),
        (f"{URI}/datastores/d/paths/a/../b", FailureClass.INVALID_INPUT, "is no source"),
        (f"{URI}/models/../versions/1", FailureClass.INVALID_INPUT, "is no source"),
    ],
)
def test_a_source_that_is_not_there_is_told_of(
    cloud: Cloud, lab: Lab, source: str, reason: FailureClass, says: str
) -> None:
    report = fetch(lab, "model", source)
    assert report.reason is reason
    assert says in report.message


def test_a_file_is_no_folder_of_a_model(story: Story, lab: Lab) -> None:
    container = story.cloud.storage.get_container_client(CONTAINER)
    container.upload_blob("trips/one.onnx", b"graph", overwrite=True)
    report = fetch(lab, "model", f"{URI}/datastores/{DATASTORE}/paths/trips/one.onnx")
    assert report.reason is FailureClass.INVALID_INPUT
    assert "is a file; name the folder" in report.message


def test_data_is_no_version_of_a_model(lab: Lab) -> None:
    report = fetch(lab, "data", f"{URI}/models/travel/versions/1")
    assert report.reason is FailureClass.INVALID_INPUT
    assert "write a path of a datastore" in report.message


def test_who_may_not_read_is_told_the_role(story: Story, lab: Lab) -> None:
    source = story.publish(base_files=EXPORTED).reference
    action = "Microsoft.MachineLearningServices/workspaces/models/versions/read"
    story.cloud.plane.resources.denied.add(action)
    report = fetch(lab, "model", source)
    assert report.reason is FailureClass.AUTH_DENIED
    assert "AzureML Data Scientist" in report.message
