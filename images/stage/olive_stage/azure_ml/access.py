"""Who the stage is at Azure, and the client of a workspace or registry."""

import os
from dataclasses import dataclass
from typing import Any

from azure.ai.ml import MLClient
from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.words import plain


@dataclass(frozen=True)
class Workspace:
    """A workspace, by subscription and resource group."""

    subscription: str
    group: str
    name: str

    def __str__(self) -> str:
        return f"workspace {self.name}"

    @property
    def uri(self) -> str:
        """What references to things in it begin with."""
        return (
            f"azureml://subscriptions/{self.subscription}/resourcegroups/{self.group}"
            f"/workspaces/{self.name}"
        )


@dataclass(frozen=True)
class Registry:
    """A registry, by its name."""

    name: str

    def __str__(self) -> str:
        return f"registry {self.name}"

    @property
    def uri(self) -> str:
        """What references to things in it begin with."""
        return f"azureml://registries/{self.name}"


Place = Workspace | Registry


def credential() -> TokenCredential:
    """What the environment says: a projected token, a secret, or else the node's own identity.

    Chosen here and not by trying all: a wrong secret is told of, and not passed over.
    """
    given = os.environ
    token = given.get("AZURE_FEDERATED_TOKEN_FILE")
    if not token and not given.get("AZURE_CLIENT_SECRET"):
        return ManagedIdentityCredential(client_id=given.get("AZURE_CLIENT_ID"))
    who = (
        "spec.azure, or its ServiceAccount for Azure's webhook, has"
        if token
        else "the Secret that azure.secretRef names has"
    )
    if missing := [n for n in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID") if not given.get(n)]:
        raise StageFailure(FailureClass.AUTH_DENIED, f"{who} no {' and no '.join(missing)}")
    try:
        if token:
            return WorkloadIdentityCredential()
        return ClientSecretCredential(
            given["AZURE_TENANT_ID"],
            given["AZURE_CLIENT_ID"],
            given["AZURE_CLIENT_SECRET"],
            # Otherwise the public cloud is asked whether it knows the authority of a private one.
            disable_instance_discovery=bool(given.get("AZURE_AUTHORITY_HOST")),
        )
    except ValueError as error:  # a tenant's id with a line's end, an authority without TLS
        raise StageFailure(
            FailureClass.AUTH_DENIED, f"{who} what cannot be used: {plain(error, 200)}"
        ) from None


def client_of(place: Place, who: TokenCredential) -> MLClient:
    """The client of this place; it looks the cloud and a registry up at once."""
    common: dict[str, Any] = {"enable_telemetry": False, "show_progress": False}
    if isinstance(place, Registry):
        return MLClient(who, registry_name=place.name, **common)
    return MLClient(who, place.subscription, place.group, place.name, **common)
