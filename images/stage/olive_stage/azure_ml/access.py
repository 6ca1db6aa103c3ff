"""Who the stage is at Azure, the client of a workspace or registry, and refusals in words."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from azure.ai.ml import MLClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import (
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.words import plain

ACTION: Final = re.compile(r"perform action '([^']+)' over scope '([^']+)'")
SIGN_IN_ERROR: Final = re.compile(r"AADSTS\d+")
ROLES: Final = (
    ("/registries/", "AzureML Registry User"),
    ("/workspaces/", "AzureML Data Scientist"),
)
"""Built-in roles that have the actions below these scopes."""
STORAGE_ROLE: Final = "Storage Blob Data Contributor"


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
    if given.get("AZURE_FEDERATED_TOKEN_FILE"):
        return WorkloadIdentityCredential()
    if not given.get("AZURE_CLIENT_SECRET"):
        return ManagedIdentityCredential(client_id=given.get("AZURE_CLIENT_ID"))
    if missing := [n for n in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID") if not given.get(n)]:
        raise StageFailure(
            FailureClass.AUTH_DENIED,
            f"the Secret that azure.secretRef names has no {' and no '.join(missing)}",
        )
    return ClientSecretCredential(
        given["AZURE_TENANT_ID"],
        given["AZURE_CLIENT_ID"],
        given["AZURE_CLIENT_SECRET"],
        # Otherwise the public cloud is asked whether it knows the authority of a private one.
        disable_instance_discovery=bool(given.get("AZURE_AUTHORITY_HOST")),
    )


def client_of(place: Place, who: TokenCredential) -> MLClient:
    """The client of this place. It looks the cloud and a registry up at once; see said_in_words."""
    common: dict[str, Any] = {"enable_telemetry": False, "show_progress": False}
    if isinstance(place, Registry):
        return MLClient(who, registry_name=place.name, **common)
    return MLClient(who, place.subscription, place.group, place.name, **common)


@contextmanager
def said_in_words(what: str) -> Iterator[None]:
    """Azure's refusals as failures that say what to do; ``what`` was asked for or sent."""
    try:
        yield
    except StageFailure:
        raise
    except (ServiceRequestError, ServiceResponseError) as error:
        raise StageFailure(
            FailureClass.STAGE_ERROR,
            f"{what}: Azure cannot be reached, or broke off ({type(error).__name__})",
        ) from error
    except ClientAuthenticationError as error:
        raise _unknown(what, error) from error
    except (ResourceNotFoundError, FileNotFoundError) as error:
        said = _said(error) if isinstance(error, ResourceNotFoundError) else ""
        raise StageFailure(FailureClass.SOURCE_NOT_FOUND, f"{what} is not there{said}") from error
    except HttpResponseError as error:
        raise _refused(what, error) from error
    except AzureError as error:
        raise StageFailure(FailureClass.STAGE_ERROR, f"{what}: {_first_line(error)}") from error


def status_of(error: HttpResponseError) -> int:
    """The HTTP status; 0 if there was no answer."""
    return error.status_code or 0


def _unknown(what: str, error: ClientAuthenticationError) -> StageFailure:
    """Entra does not give a token, or the service does not take it."""
    code = SIGN_IN_ERROR.search(str(error))
    who = "the federated credential (issuer, subject, audience)"
    if not os.environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        secret = bool(os.environ.get("AZURE_CLIENT_SECRET"))
        who = "the Secret that azure.secretRef names" if secret else "the node's managed identity"
    told = f" ({code[0]})" if code else ""
    return StageFailure(
        FailureClass.AUTH_DENIED,
        f"{what}: Azure does not know who asks{told}; check {who}, and clientID and tenantID",
    )


def _refused(what: str, error: HttpResponseError) -> StageFailure:
    status = status_of(error)
    if status == 403:
        return StageFailure(FailureClass.AUTH_DENIED, f"{what}: {_missing_role(error)}")
    if status == 429 or status >= 500:
        return StageFailure(
            FailureClass.STAGE_ERROR,
            f"{what}: Azure answered {status} again and again; it is busy, or has a fault",
        )
    return StageFailure(FailureClass.INVALID_INPUT, f"{what} is refused{_said(error)}")


def _missing_role(error: HttpResponseError) -> str:
    if found := ACTION.search(str(error)):
        action, scope = found[1], found[2]
        role = next((role for part, role in ROLES if part in f"{scope}/"), "")
        grant = f"; give it the role {role} there" if role else ""
        return f"the identity may not {plain(action)} on {plain(scope, 400)}{grant}"
    return (
        f"the identity may not read or write the storage{_said(error)}; give it the role "
        f"{STORAGE_ROLE} on the storage account"
    )


def _said(error: HttpResponseError) -> str:
    """What the service says of it, on one line; storage says more, and signed addresses with it."""
    told = error.error
    if told is not None and told.message:
        return f": {plain(told.code)}: {plain(told.message, 400)}"
    code = getattr(error, "error_code", None)
    return f" ({plain(code)})" if code else f" (status {status_of(error)})"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {plain(str(error).partition(chr(10))[0], 300)}"
