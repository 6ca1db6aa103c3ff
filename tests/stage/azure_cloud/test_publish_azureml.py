"""Publishing to Azure ML, with Azure's own clients, to a cloud that misbehaves as the real one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from answers import Answer, Request, refused
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Model
from azure.identity import WorkloadIdentityCredential
from azure.storage.blob import LinearRetry
from blobs import KEY
from cloud import BLOBS, Cloud
from entra import SECRET, SERVICE_ACCOUNT_TOKEN
from lineage import BASE_FILES, COMMIT, publication
from resources import CONTAINER, GROUP, REGISTRY, SUBSCRIPTION, WORKSPACE

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import AzureML, PublishParams
from olive_contract.stage import Published
from olive_stage.azure_ml import storage
from olive_stage.publish import azureml, make

TEAM = {"subscription": SUBSCRIPTION, "resourceGroup": GROUP, "workspace": WORKSPACE}
PLACES = {"workspace": TEAM, "registry": {"registry": REGISTRY}}
URI = f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/{WORKSPACE}"
WRITE = "Microsoft.MachineLearningServices/workspaces/models/versions/write"
LARGE = {**BASE_FILES, "model.onnx.data": bytes(range(256)) * (40 << 12)}
"""40 MiB: five pieces."""


class Story:
    """Attempts at publishing, each in a folder of its own."""

    def __init__(self, cloud: Cloud, root: Path) -> None:
        self.cloud, self._root, self._count = cloud, root, 0

    def publish(self, where: str = "workspace", **given: Any) -> Published:
        target = {"model": "travel", **PLACES[where], **given.pop("target", {})}
        self._count += 1
        root = self._root / str(self._count)
        root.mkdir()
        made = make(PublishParams(azureML=AzureML(**target)), publication(root, **given))
        return Published(**made.about["published"])  # type: ignore[arg-type]

    def fails(self, **given: Any) -> StageFailure:
        with pytest.raises(StageFailure) as caught:
            self.publish(**given)
        return caught.value

    def versions(self, where: str = "workspace") -> dict[str, Any]:
        """As the control plane keeps them."""
        models = getattr(self.cloud.plane.resources, where)
        return {n: v["properties"] for n, v in models.versions.get("travel", {}).items()}

    def puts(self) -> int:
        """Versions that were asked to be made or changed."""
        return sum(a.method == "PUT" and "/models/" in a.path for a in self.cloud.plane.asked)

    def blobs(self) -> dict[str, bytes]:
        container = self.cloud.storage.get_container_client(CONTAINER)
        names = [b.name for b in container.list_blobs(name_starts_with="olive-operator/")]
        return {name: container.download_blob(name).readall() for name in names}


@pytest.fixture
def story(cloud: Cloud, tmp_path: Path) -> Iterator[Story]:
    yield Story(cloud, tmp_path)
    cloud.wire.forget()
    container = cloud.storage.get_container_client(CONTAINER)
    half = {"include": ["uncommittedblobs"]}
    for name in [b.name for b in container.list_blobs(name_starts_with="olive-operator/", **half)]:
        container.upload_blob(name, b"", overwrite=True)  # with that, blocks of it are gone
        container.delete_blob(name)


def client(where: str) -> MLClient:
    if where == "registry":
        return MLClient(WorkloadIdentityCredential(), registry_name=REGISTRY)
    return MLClient(WorkloadIdentityCredential(), SUBSCRIPTION, GROUP, WORKSPACE)


@pytest.mark.parametrize("by_identity", [False, True], ids=["account key", "identity"])
@pytest.mark.parametrize("where", ["workspace", "registry"])
def test_a_version_comes_back_as_it_was_published(
    story: Story, tmp_path: Path, where: str, by_identity: bool
) -> None:
    story.cloud.plane.resources.by_identity = by_identity
    published = story.publish(where)
    begin = URI if where == "workspace" else f"azureml://registries/{REGISTRY}"
    assert published == Published(f"{begin}/models/travel/versions/1", "")
    client(where).models.download("travel", "1", tmp_path / "back")
    (readme,) = (tmp_path / "back").rglob("README.md")
    folder = readme.parent
    for name, content in BASE_FILES.items():
        assert (folder / name).read_bytes() == content
    assert (folder / "adapters/travel/adapter.onnx_adapter").read_bytes() == b"adapter travel"
    assert json.loads((folder / "bom.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    assert story.cloud.wire.refused == []


def test_the_version_tells_where_it_is_from(story: Story) -> None:
    story.publish(target={"tags": {"team": "trips"}, "description": "for trips", "type": "custom"})
    found = story.versions()["1"]
    assert (found["tags"], found["description"]) == ({"team": "trips"}, "for trips")
    assert found["modelType"] == "custom_model"
    told = {k.removeprefix("olive-operator."): v for k, v in found["properties"].items()}
    assert (told["job"], told["gates"]) == ("ml/travel", "perplexity at most 9.5")
    assert (told["model"], told["revision"]) == ("hf://owner/model@main", COMMIT)
    assert told["data.travel"] == "pvc://team/travel.jsonl digest of travel"
    assert json.loads(told["metrics.travel"])["perplexity"] == 7.25
    assert json.loads(told["versions"]) == {"olive-ai": "0.13.0"}
    assert len(told["content"]) == len(told["base"]) == len(told["adapter.travel"]) == 64


@pytest.mark.parametrize("where", ["workspace", "registry"])
def test_the_same_again_makes_no_second_version(story: Story, where: str) -> None:
    first = story.publish(where)
    puts = story.puts()
    assert story.publish(where, gates=("perplexity at most 8",)) == first
    assert (story.puts(), set(story.versions(where))) == (puts, {"1"})


@pytest.mark.parametrize("where", ["workspace", "registry"])
def test_description_and_tags_are_brought_up_to_date(story: Story, where: str) -> None:
    first = story.publish(where)
    again = story.publish(where, target={"tags": {"stage": "shipped"}, "description": "for all"})
    assert again == first
    found = story.versions(where)["1"]
    assert (found["tags"], found["description"]) == ({"stage": "shipped"}, "for all")
    assert found["properties"]["olive-operator.job"] == "ml/travel"


def test_other_content_is_the_next_version(story: Story) -> None:
    story.publish()
    second = story.publish(adapters=("travel", "food"))
    assert second.reference.endswith("/versions/2")
    assert set(story.versions()) == {"1", "2"}


def test_another_type_is_another_version(story: Story, tmp_path: Path) -> None:
    story.publish()
    second = story.publish(target={"type": "mlflow"})
    assert second.reference.endswith("/versions/2")
    assert {n: v["modelType"] for n, v in story.versions().items()} == {
        "1": "custom_model",
        "2": "mlflow_model",
    }
    client("workspace").models.download("travel", "2", tmp_path / "back")
    (marked,) = (tmp_path / "back").rglob("MLmodel")
    flavor = json.loads(marked.read_text())["flavors"]["onnx"]
    assert (marked.parent / flavor["data"]).read_bytes() == BASE_FILES["model.onnx"]
    assert story.publish(target={"type": "mlflow"}) == second


def test_what_was_archived_stays_published(story: Story) -> None:
    first = story.publish()
    client("workspace").models.archive("travel", "1")
    assert story.publish() == first


def test_an_upload_that_was_cut_goes_on_where_it_was(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "RETRIES", LinearRetry(retry_total=0))
    story.cloud.wire.cut(BLOBS, after=25 << 20)
    failure = story.fails(base_files=LARGE)
    assert failure.failure is FailureClass.STAGE_ERROR
    assert story.versions() == {}
    capsys.readouterr()
    story.publish(base_files=LARGE)
    sent = next(line for line in capsys.readouterr().out.splitlines() if "were sent" in line)
    assert float(sent.split(" MiB of ")[0].split()[-1]) < 33
    (weights,) = (c for name, c in story.blobs().items() if name.endswith("model.onnx.data"))
    assert weights == LARGE["model.onnx.data"]


def test_between_upload_and_registration_nothing_is_lost(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    story.cloud.plane.misbehave("PUT", "/models/", times=50, status=503)
    failure = story.fails()
    assert failure.failure is FailureClass.STAGE_ERROR
    assert "Azure answered 503 again and again" in str(failure)
    story.cloud.plane.misbehaviours.clear()
    capsys.readouterr()
    assert story.publish().reference.endswith("/versions/1")
    assert "0 B of" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fault",
    [{"times": 2, "status": 429, "retry_after": 1}, {"cut": "before"}, {"cut": "after"}],
    ids=["throttled", "cut before", "cut after"],
)
def test_a_service_that_misbehaves_gets_one_version(story: Story, fault: dict[str, Any]) -> None:
    story.cloud.plane.misbehave("PUT", "/models/", **fault)
    assert story.publish().reference.endswith("/versions/1")
    assert set(story.versions()) == {"1"}


def test_a_number_that_another_takes_meanwhile_is_left_to_it(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload: Callable[..., None] = azureml.upload

    def another_first(storage: Any, version: Any) -> None:
        path = f"{URI}/datastores/workspaceblobstore/paths/theirs"
        client("workspace").models.create_or_update(Model(name="travel", version="1", path=path))
        monkeypatch.setattr(azureml, "upload", upload)
        upload(storage, version)

    monkeypatch.setattr(azureml, "upload", another_first)
    assert story.publish().reference.endswith("/versions/2")
    assert story.versions()["1"]["modelUri"].endswith("/theirs")


@pytest.mark.parametrize("where", ["workspace", "registry"])
def test_the_number_of_a_version_that_was_deleted_is_passed_over(
    story: Story, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    models = getattr(story.cloud.plane.resources, where)
    put = models.put

    def remembering(name: str, number: str, *more: Any) -> Answer:
        if number == "1":
            return refused(400, "UserError", "Version 1 was deleted; it cannot be recreated.")
        return put(name, number, *more)

    monkeypatch.setattr(models, "put", remembering)
    assert story.publish(where).reference.endswith("/versions/2")
    assert set(story.versions(where)) == {"2"}


def test_what_a_version_holds_is_not_written_over_by_another_job(story: Story) -> None:
    story.publish(gates=("perplexity at most 9.5",))
    before = story.blobs()
    promoted = story.publish(target={"model": "shipped"}, gates=("perplexity at most 8",))
    assert promoted.reference.endswith("/models/shipped/versions/1")
    assert before.items() <= story.blobs().items()


def test_a_blob_that_is_not_whole_is_sent_again(story: Story) -> None:
    story.cloud.plane.misbehave("PUT", "/models/", times=50, status=503)
    story.fails()
    story.cloud.plane.misbehaviours.clear()
    (name,) = (n for n in story.blobs() if n.endswith("/model.onnx"))
    story.cloud.storage.get_blob_client(CONTAINER, name).upload_blob(b"damaged", overwrite=True)
    story.publish()
    assert story.blobs()[name] == BASE_FILES["model.onnx"]


def test_who_may_not_is_told_the_role(story: Story) -> None:
    story.cloud.plane.resources.denied.add(WRITE)
    failure = story.fails()
    assert failure.failure is FailureClass.AUTH_DENIED
    assert WRITE in str(failure)
    assert "give it the role AzureML Data Scientist" in str(failure)


def test_a_token_that_is_not_trusted_is_told_of(story: Story) -> None:
    story.cloud.projected.write_text("forged")
    try:
        failure = story.fails()
    finally:
        story.cloud.projected.write_text(SERVICE_ACCOUNT_TOKEN)
    assert failure.failure is FailureClass.AUTH_DENIED
    assert "(AADSTS700213); check the federated credential" in str(failure)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"AZURE_CLIENT_SECRET": "wrong"}, "(AADSTS7000215); check the Secret"),
        ({"AZURE_TENANT_ID": ""}, "azure.secretRef names has no AZURE_TENANT_ID"),
        ({"AZURE_TENANT_ID": "an-id\n"}, "azure.secretRef names has what cannot be used"),
    ],
)
def test_a_secret_that_does_not_do_is_told_of(
    story: Story, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], says: str
) -> None:
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE")
    for name, value in {**story.cloud.with_secret(), **change}.items():
        monkeypatch.setenv(name, value)
    failure = story.fails()
    assert failure.failure is FailureClass.AUTH_DENIED
    assert says in str(failure)


def test_an_account_that_the_webhook_does_not_know_is_told_of(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_CLIENT_ID")
    failure = story.fails()
    assert failure.failure is FailureClass.AUTH_DENIED
    assert "its ServiceAccount for Azure's webhook, has no AZURE_CLIENT_ID" in str(failure)


def test_a_place_for_tokens_that_is_out_of_order_is_worth_another_attempt(story: Story) -> None:
    story.cloud.plane.misbehave("POST", "/oauth2/v2.0/token", times=100, status=503)
    failure = story.fails()
    assert failure.failure is FailureClass.STAGE_ERROR
    assert "Azure answered 503" in str(failure)


def test_an_answer_without_sense_is_told_of_and_not_repeated(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond = story.cloud.plane.respond

    def garbling(request: Request) -> Answer:
        secrets = request.path.endswith("/listSecrets")
        return Answer(200, [KEY]) if secrets else respond(request)

    monkeypatch.setattr(story.cloud.plane, "respond", garbling)
    failure = story.fails()
    assert failure.failure is FailureClass.STAGE_ERROR
    assert "has no sense" in str(failure)
    assert KEY not in str(failure)


@pytest.mark.parametrize(
    "where", [{**TEAM, "workspace": "nobody"}, {"registry": "nobody"}], ids=list(PLACES)
)
def test_a_place_that_is_not_there_is_told_of(story: Story, where: dict[str, str]) -> None:
    empty = dict.fromkeys(("subscription", "resourceGroup", "workspace", "registry"), "")
    failure = story.fails(target={**empty, **where})
    assert failure.failure is FailureClass.SOURCE_NOT_FOUND
    assert "nobody is not there" in str(failure)


def test_a_name_that_azure_does_not_take_is_refused_in_its_words(story: Story) -> None:
    failure = story.fails(target={"model": "a.b"})
    assert failure.failure is FailureClass.INVALID_INPUT
    assert "Invalid model name: a.b." in str(failure)


@pytest.mark.parametrize("where", ["workspace", "registry"])
def test_no_secret_is_told_anywhere(
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    where: str,
) -> None:
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE")
    for name, value in story.cloud.with_secret().items():
        monkeypatch.setenv(name, value)
    published = story.publish(where)
    monkeypatch.setattr(storage, "RETRIES", LinearRetry(retry_total=0))
    story.cloud.wire.cut(BLOBS, after=0, times=100)
    failure = story.fails(adapters=("food",))
    told = [*capfd.readouterr(), str(published), str(failure)]
    told += [str(vars(story.cloud.plane.resources)[place].versions) for place in PLACES]
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        told.append(path.read_bytes().decode(errors="replace"))
    for secret in (SECRET, KEY, *story.cloud.plane.entra.issued, "sig=", "SharedKey"):
        assert not any(secret in text for text in told), secret
