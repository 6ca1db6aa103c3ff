"""The stand-in cloud, as Azure's own clients see it."""

import json
from pathlib import Path
from typing import Any

import blobs
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Model
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import ClientSecretCredential, WorkloadIdentityCredential
from azure.storage.blob import BlobServiceClient
from cloud import BLOBS, LOGIN, MANAGER, Cloud
from entra import CLIENT, SECRET, TENANT
from resources import CONTAINER, GROUP, REGISTRY, SUBSCRIPTION, WORKSPACE

WRITE = "Microsoft.MachineLearningServices/workspaces/models/versions/write"
SCOPE = f"{MANAGER}/.default"


@pytest.fixture
def workspace(cloud: Cloud) -> MLClient:
    return MLClient(WorkloadIdentityCredential(), SUBSCRIPTION, GROUP, WORKSPACE)


@pytest.fixture
def registry(cloud: Cloud) -> MLClient:
    return MLClient(WorkloadIdentityCredential(), registry_name=REGISTRY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "travel"
    (folder / "adapters").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "phi3"}')
    (folder / "adapters" / "travel.bin").write_bytes(bytes(range(256)) * 4000)
    return folder


def travel(path: Path | str, **more: Any) -> Model:
    asked = {"version": "1", "properties": {"olive.key": "abc"}, "tags": {"stage": "trial"}}
    return Model(name="travel", path=str(path), **{**asked, **more})


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("by_identity", [False, True], ids=["account key", "identity"])
def test_a_folder_goes_to_the_workspace_and_comes_back(
    cloud: Cloud, workspace: MLClient, folder: Path, tmp_path: Path, by_identity: bool
) -> None:
    cloud.plane.resources.by_identity = by_identity
    made = workspace.models.create_or_update(travel(folder))
    assert made.path.endswith(f"/datastores/workspaceblobstore/paths/{_place(made)}")
    listed = list(workspace.models.list(name="travel"))
    assert [(m.version, m.properties, m.tags) for m in listed] == [
        ("1", {"olive.key": "abc"}, {"stage": "trial"})
    ]
    workspace.models.download("travel", "1", tmp_path / "back")
    assert contents(tmp_path / "back" / "travel" / "travel") == contents(folder)
    asked = [line for line in cloud.plane.lines() if "listSecrets" in line]
    assert len(asked) == (0 if by_identity else 2)
    assert cloud.wire.refused == []


def test_a_folder_goes_to_the_registry_and_comes_back(
    cloud: Cloud, registry: MLClient, folder: Path, tmp_path: Path
) -> None:
    made = registry.models.create_or_update(travel(folder))
    assert made.id == "azureml://registries/shared/models/travel/versions/1"
    assert made.path.startswith(f"https://{blobs.ACCOUNT}.{BLOBS}/mod-")
    (listed,) = registry.models.list(name="travel")
    assert listed.properties == {"olive.key": "abc"}
    registry.models.download("travel", "1", tmp_path / "back")
    assert contents(tmp_path / "back" / "travel" / "travel") == contents(folder)
    assert [line.split("/", 1)[1] for line in cloud.plane.lines()[:5]] == [
        "registrymanagement/v1.0/registries/shared/discovery 200",
        "registries/shared/models/travel/versions 200",
        "registries/shared/tempdatarefs/travel/versions/1 200",
        "registries/shared/models/travel/versions/1 201",
        "registries/shared/models/travel/versions/1 200",
    ]


def test_a_version_of_the_registry_gets_no_second_upload(
    registry: MLClient, folder: Path, cloud: Cloud
) -> None:
    registry.models.create_or_update(travel(folder))
    with pytest.raises(ValueError, match="No value for given attribute"):  # the SDK's own fault
        registry.models.create_or_update(travel(folder))
    assert cloud.plane.lines()[-1].endswith("tempdatarefs/travel/versions/1 409")


def test_a_version_keeps_its_path_and_properties(workspace: MLClient, folder: Path) -> None:
    workspace.models.create_or_update(travel(folder))
    again = workspace.models.create_or_update(travel(folder, tags={"stage": "shipped"}))
    assert again.tags == {"stage": "shipped"}
    with pytest.raises(HttpResponseError, match=r"Value of property olive\.key .* cannot be"):
        workspace.models.create_or_update(travel(folder, properties={"olive.key": "other"}))
    (folder / "config.json").write_text("{}")
    with pytest.raises(HttpResponseError, match=r"\(UserError\) Asset paths cannot be updated."):
        workspace.models.create_or_update(travel(folder))


def test_versions_count_on_and_come_in_pages(
    cloud: Cloud, workspace: MLClient, folder: Path
) -> None:
    for number in range(5):
        (folder / "config.json").write_text(json.dumps({"try": number}))
        made = workspace.models.create_or_update(travel(folder, version=None))
        assert made.version == str(number + 1)
    cloud.plane.asked.clear()
    listed = [model.version for model in workspace.models.list(name="travel")]
    assert listed == ["5", "4", "3", "2", "1"]
    assert ["skip" in asked.query for asked in cloud.plane.asked] == [False, True, True]


def test_an_archived_version_is_not_listed_but_there(workspace: MLClient, folder: Path) -> None:
    workspace.models.create_or_update(travel(folder))
    workspace.models.archive("travel", "1")
    assert list(workspace.models.list(name="travel")) == []
    assert workspace.models.get("travel", "1").properties == {"olive.key": "abc"}
    with pytest.raises(ResourceNotFoundError):
        workspace.models.get("travel", "2")


def test_who_may_not_write_is_told_the_action(
    cloud: Cloud, workspace: MLClient, folder: Path
) -> None:
    cloud.plane.resources.denied.add(WRITE)
    with pytest.raises(HttpResponseError, match=rf"AuthorizationFailed.*'{WRITE}'") as refused:
        workspace.models.create_or_update(travel(folder))
    assert refused.value.status_code == 403


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ({"times": 2, "status": 429, "retry_after": 1}, [429, 429, 201]),
        ({"status": 503}, [503, 201]),
        ({"cut": "before"}, [0, 201]),
        ({"cut": "after"}, [0, 200]),
    ],
    ids=["throttled", "broken", "cut before", "cut after"],
)
def test_the_service_misbehaves_as_it_is_told(
    cloud: Cloud, workspace: MLClient, folder: Path, fault: dict[str, Any], statuses: list[int]
) -> None:
    cloud.plane.misbehave("PUT", "/models/", **fault)
    assert workspace.models.create_or_update(travel(folder)).version == "1"
    assert [asked.status for asked in cloud.plane.asked if asked.method == "PUT"] == statuses


def test_a_slow_answer_outlasts_the_clients_patience(cloud: Cloud) -> None:
    cloud.plane.misbehave("GET", "/metadata/", slow=600)
    address = cloud.environment["ARM_CLOUD_METADATA_URL"]
    with pytest.raises(requests.ReadTimeout):
        requests.get(address, timeout=(10, 0.2))
    assert requests.get(address, timeout=10).json()[0]["name"] == "StandIn"


def test_an_upload_breaks_off_and_leaves_nothing(cloud: Cloud) -> None:
    client = BlobServiceClient(
        f"https://{blobs.ACCOUNT}.{BLOBS}", credential=blobs.KEY, retry_total=0
    )
    blob = client.get_blob_client(CONTAINER, "half/weights.bin")
    cut = cloud.wire.cut(BLOBS, after=100_000)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        blob.upload_blob(bytes(1_000_000))
    assert cut.times == 0
    assert not blob.exists()
    blob.upload_blob(bytes(1_000_000))
    assert blob.get_blob_properties().size == 1_000_000


def test_a_token_that_kubernetes_did_not_project_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    forged = tmp_path / "token"
    forged.write_text("forged")
    credential = WorkloadIdentityCredential(token_file_path=str(forged))
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        credential.get_token(SCOPE)


def test_a_secret_serves_where_the_authority_is_trusted(cloud: Cloud) -> None:
    """Unless told not to, MSAL asks the public cloud whether it knows the authority."""

    def ask(secret: str, *, trusted: bool) -> str:
        credential = ClientSecretCredential(
            TENANT, CLIENT, secret, authority=LOGIN, disable_instance_discovery=trusted
        )
        return credential.get_token(SCOPE).token

    with pytest.raises(ClientAuthenticationError, match="is not well-known"):
        ask(SECRET, trusted=False)
    assert ask(SECRET, trusted=True) in cloud.plane.entra.issued
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        ask("wrong", trusted=True)


def test_no_token_is_kept_and_no_stranger_reached(cloud: Cloud, workspace: MLClient) -> None:
    list(workspace.models.list(name="travel"))
    (asked,) = (asked for asked in cloud.plane.asked if "/models/" in asked.path)
    assert asked.headers["authorization"] == "***"
    with pytest.raises(Exception, match="403"):
        BlobServiceClient("https://stranger.example", retry_total=0).get_account_information()
    assert cloud.wire.refused == ["stranger.example"]


def _place(made: Model) -> str:
    place = str(made.path).partition("/paths/")[2]
    assert place.startswith("LocalUpload/")
    assert place.endswith("/travel")
    return place
