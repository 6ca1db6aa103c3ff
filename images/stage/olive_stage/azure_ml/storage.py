"""Where the files of a place are: a container of Azure Blob Storage, and what opens it."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from azure.ai.ml import MLClient
from azure.ai.ml._utils._registry_utils import (  # the client has no public word for them
    get_asset_body_for_registry_storage,
    get_sas_uri_for_registry_asset,
    get_storage_details_for_registry_assets,
)
from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, SasTokenConfiguration
from azure.core.credentials import TokenCredential
from azure.storage.blob import ContainerClient, ExponentialRetry

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.words import plain
from olive_stage.work import invalid

DATASTORE_PATH: Final = re.compile(
    r"azureml://.*/datastores/(?P<name>[^/]+)/paths/(?P<path>.+)$", re.I
)
MODELS: Final = "models"
RETRIES: Final = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5)
"""After 2, 3, 5, 9 and 17 seconds; what comes to nothing then is another attempt's."""


@dataclass(frozen=True)
class Storage:
    """A container: its account's address, its name, and what opens it: a key, a token or a client.

    ``path`` is a prefix in it, without a "/" at the end.
    """

    account: str
    container: str
    opens: str | TokenCredential = field(repr=False)
    path: str

    @property
    def client(self) -> ContainerClient:
        """Blob Storage's client."""
        return ContainerClient(
            self.account, self.container, credential=self.opens, retry_policy=RETRIES
        )


def of_datastore(client: MLClient, name: str, path: str, who: TokenCredential) -> Storage:
    """A path of a workspace's datastore; InvalidInput unless that is a blob container."""
    found: Any = client.datastores.get(name, include_secrets=True)
    if not isinstance(found, AzureBlobDatastore):
        raise invalid(
            f"datastore {plain(name)} is of type {plain(found.type)}; one of type azure_blob is "
            "needed"
        )
    opens: str | TokenCredential = who
    if isinstance(found.credentials, AccountKeyConfiguration):
        opens = str(found.credentials.account_key)
    elif isinstance(found.credentials, SasTokenConfiguration):
        opens = str(found.credentials.sas_token)
    account = f"{found.protocol}://{found.account_name}.blob.{found.endpoint}"
    return Storage(account, str(found.container_name), opens, path.strip("/"))


def of_version(client: MLClient, registry: bool, model: Any, who: TokenCredential) -> Storage:
    """Where the files of a registered model's version are."""
    if registry:
        operations = client.models
        signed, kind = get_storage_details_for_registry_assets(
            service_client=operations._registry_service_client,
            asset_type=MODELS,
            asset_name=model.name,
            asset_version=model.version,
            rg_name=operations._resource_group_name,
            reg_name=operations._registry_name,
            uri=model.path,
        )
        account, container, _, token = _taken_apart(signed)
        path = _taken_apart(model.path)[2]
        return Storage(account, container, token if kind == "SAS" else who, path)
    match = DATASTORE_PATH.match(model.path)
    if not match:
        raise StageFailure(
            FailureClass.INVALID_INPUT,
            f"the version's files are at {plain(model.path, 200)}, which is no path of a datastore",
        )
    return of_datastore(client, match["name"], match["path"], who)


def for_new_version(client: MLClient, name: str, version: str, path: str) -> Storage | None:
    """Where the registry wants the files of a version that is to be made; None if it is made."""
    operations = client.models
    signed = get_sas_uri_for_registry_asset(
        service_client=operations._registry_service_client,
        name=name,
        version=version,
        resource_group=operations._resource_group_name,
        registry=operations._registry_name,
        body=get_asset_body_for_registry_storage(operations._registry_name, MODELS, name, version),
    )
    if not signed:
        return None
    account, container, _, token = _taken_apart(signed)
    return Storage(account, container, token, path)


def _taken_apart(address: str) -> tuple[str, str, str, str]:
    """Account, container, path and signature of a blob's or container's address."""
    place, _, token = address.partition("?")
    scheme, _, rest = place.partition("://")
    host, _, path = rest.partition("/")
    container, _, below = path.partition("/")
    return f"{scheme}://{host}", container, below.strip("/"), token
