"""Sources in Azure ML: a model's version in a workspace or registry, or a path of a datastore."""

from contextlib import AbstractContextManager
from typing import Any

from azure.ai.ml import MLClient
from azure.core.credentials import TokenCredential

from olive_contract.keys import digest
from olive_contract.params import FetchParams
from olive_contract.store import Store
from olive_stage.azure_ml import access, refusals, storage
from olive_stage.azure_ml.files import BlobFiles
from olive_stage.azure_ml.storage import Storage
from olive_stage.object_store import ObjectOrigin
from olive_stage.room import Need
from olive_stage.source import AzureML


class AzureMLOrigin(ObjectOrigin):
    """What a reference of Azure ML names.

    A version never changes, so that it is fetched once; what is at a path is named by its content.
    """

    def __init__(self, source: AzureML, params: FetchParams, store: Store, need: Need) -> None:
        super().__init__(source, params, store, need)
        self._asked = source
        self._place = (
            access.Registry(source.registry)
            if source.registry
            else access.Workspace(source.subscription, source.group, source.workspace)
        )
        self._storage: Storage | None = None

    def said_in_words(self) -> AbstractContextManager[None]:
        return refusals.said_in_words(str(self.source))

    def commit(self) -> str:
        """What names a version: its reference, and when it was made, as names may come again."""
        with self.said_in_words():
            who = access.credential()
            client = access.client_of(self._place, who)
            return self._look_up(client, who)

    def _look_up(self, client: MLClient, who: TokenCredential) -> str:
        source = self._asked
        if not source.model:
            self._storage = storage.of_datastore(client, source.datastore, source.path, who)
            return ""
        found: Any = client.models.get(source.model, source.version)
        self._storage = storage.of_version(client, bool(source.registry), found, who)
        made = found.creation_context.created_at if found.creation_context else None
        self.known = {"version": str(found.id), "createdAt": str(made or "")}
        if license := found.properties.get("olive-operator.license") or found.tags.get("license"):
            self.known["license"] = str(license)[:100]
        kept = [self.params.allowPickle, self.params.trustRemoteCode]  # they choose among its files
        return digest([str(found.id).lower(), str(made), *kept])

    def open(self) -> tuple[BlobFiles, str]:
        """Those of the place that ``commit`` has found out."""
        if (found := self._storage) is None:
            raise RuntimeError("open comes after commit")
        files = BlobFiles(found, whole_folder=bool(self._asked.model))
        return files, f"{found.container}/{found.path}"
