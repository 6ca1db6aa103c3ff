"""Publishing to Azure ML: files into the place's own storage, then a version that names them.

A version says its content in a property. One that says the same is the version, whoever made it:
of that only description and tags are brought up to date, which the service lets change. Numbers are
given out here, so that an attempt whose answer was lost asks for the same again.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

from azure.ai.ml import MLClient
from azure.ai.ml.constants import ListViewType
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import AzureML
from olive_contract.stage import Published
from olive_stage.azure_ml import storage
from olive_stage.azure_ml.access import Registry, Workspace, client_of, credential
from olive_stage.azure_ml.refusals import said_in_words
from olive_stage.azure_ml.upload import upload
from olive_stage.console import progress, say
from olive_stage.publish.properties import CONTENT, properties_of
from olive_stage.publish.version import Version

TYPES: Final = {"custom": "custom_model", "mlflow": "mlflow_model"}
TRIES: Final = 5
"""Others may take the next number meanwhile."""
STUDIO: Final = "https://ml.azure.com"


class AzureMLModel:
    """A model of a workspace or a registry."""

    def __init__(self, target: AzureML) -> None:
        self._target = target
        self._place = (
            Registry(target.registry)
            if target.registry
            else Workspace(target.subscription, target.resourceGroup, target.workspace)
        )
        self._what = f"model {target.model} of {self._place}"

    def publish(self, version: Version) -> Published:
        """The version of this content: found, or made with the next number."""
        who = credential()
        with said_in_words(str(self._place)):
            client = client_of(self._place, who)
        spent = 0  # the number of a version that was deleted: refused, and listed no more
        for _ in range(TRIES):
            with said_in_words(self._what):
                versions = list(self._versions(client))
            same = next((m for m in versions if self._is(m, version)), None)
            if same:
                return self._kept(client, same)
            numbers = [int(m.version) for m in versions if m.version.isdecimal()]
            number = 1 + max([spent, *numbers])
            if made := self._made(client, who, version, str(number)):
                return made
            say(f"version {number} cannot be made by now; looking again")
            if not self._has(client, str(number)):
                spent = number
        raise StageFailure(
            FailureClass.STAGE_ERROR, f"{self._what}: others take every number that is next"
        )

    def _is(self, found: Any, version: Version) -> bool:
        """It has this content, and is of the type that is asked for: neither can be changed."""
        same_type = found.type == TYPES[self._target.type]
        return bool(same_type and (found.properties or {}).get(CONTENT) == version.content)

    def _versions(self, client: MLClient) -> Iterator[Any]:
        """Every version, archived ones as well: what was published stays published."""
        try:
            yield from client.models.list(self._target.model, list_view_type=ListViewType.ALL)
        except ResourceNotFoundError as error:
            # Of a model that is not there; a workspace that is not is told of by its code.
            if "ModelContainer" not in str(error) and "UserError" not in str(error):
                raise

    def _has(self, client: MLClient, number: str) -> bool:
        """Whether there is a version of this number, listed by now or not."""
        with said_in_words(self._what):
            try:
                client.models.get(self._target.model, number)
            except ResourceNotFoundError:
                return False
        return True

    def _made(self, client: MLClient, who: Any, version: Version, number: str) -> Published | None:
        """The new version; None if another has this number by now, or had it once."""
        path = f"olive-operator/{version.digest}"  # nobody else's files are ever written there
        with said_in_words(self._what):
            place = (
                storage.for_new_version(client, self._target.model, number, path)
                if self._target.registry
                else storage.of_datastore(client, "workspaceblobstore", path, who)
            )
        if place is None:
            return None
        upload(place, version)
        progress(99, message=f"registering version {number}")
        wanted = self._model(
            number, self._uri(place), properties_of(version.origin, version.content)
        )
        with said_in_words(self._what):
            try:
                client.models.create_or_update(wanted)
            except HttpResponseError as error:
                if _is_taken(error):
                    return None
                raise
            found = client.models.get(self._target.model, number)
        return self._published(number) if self._is(found, version) else None

    def _kept(self, client: MLClient, same: Any) -> Published:
        """The version that is there, with description and tags as they are wanted now."""
        target = self._target
        if (same.description or "", dict(same.tags or {})) != (target.description, target.tags):
            say(f"version {same.version} is there; its description and tags are brought up to date")
            with said_in_words(self._what):
                client.models.create_or_update(
                    self._model(same.version, same.path, dict(same.properties))
                )
        return self._published(same.version)

    def _model(self, number: str, path: str, properties: dict[str, str]) -> Model:
        return Model(
            name=self._target.model,
            version=number,
            path=path,
            type=TYPES[self._target.type],
            description=self._target.description or None,
            tags=dict(self._target.tags),
            properties=properties,
        )

    def _uri(self, place: storage.Storage) -> str:
        if self._target.registry:
            return f"{place.account}/{place.container}/{place.path}"
        return f"{self._place.uri}/datastores/workspaceblobstore/paths/{place.path}"

    def _published(self, number: str) -> Published:
        reference = f"{self._place.uri}/models/{self._target.model}/versions/{number}"
        return Published(reference, self._page(number))

    def _page(self, number: str) -> str:
        """Of the studio, which only the public cloud has at this address."""
        if os.environ.get("ARM_CLOUD_METADATA_URL") or os.environ.get("AZURE_AUTHORITY_HOST"):
            return ""
        place, model = self._place, self._target.model
        if isinstance(place, Registry):
            return f"{STUDIO}/registries/{place.name}/models/{model}/version/{number}"
        where = (
            f"/subscriptions/{place.subscription}/resourcegroups/{place.group}"
            f"/workspaces/{place.name}"
        )
        return f"{STUDIO}/model/{model}:{number}/details?wsid={where}"


def _is_taken(error: HttpResponseError) -> bool:
    """The number is another's: its files, or what it says of itself, would have to change."""
    said = str(error)
    return error.status_code in (400, 409) and (
        "Asset paths cannot be updated" in said
        or "cannot be replaced" in said
        or "it cannot be recreated" in said
        or error.status_code == 409
    )
