"""What Azure refuses, or fails at, as failures that say what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
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
PASSING: Final = frozenset({408, 409, 412})
"""Statuses of what another attempt may find otherwise."""
SENSELESS: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What comes of reading an answer that Azure does not give."""


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
    except FileNotFoundError as error:
        raise StageFailure(FailureClass.SOURCE_NOT_FOUND, f"{what} is not there") from error
    except HttpResponseError as error:
        raise _refused(what, error) from error
    except AzureError as error:
        raise StageFailure(FailureClass.STAGE_ERROR, f"{what}: {_first_line(error)}") from error
    except SENSELESS as error:
        raise StageFailure(
            FailureClass.STAGE_ERROR,
            f"{what}: what answers is not Azure, or has no sense ({type(error).__name__})",
        ) from error


def status_of(error: HttpResponseError) -> int:
    """The HTTP status; 0 if there was no answer."""
    return error.status_code or 0


def _unknown(what: str, error: HttpResponseError) -> StageFailure:
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
    """By the status, as not every client has an exception of its own for each."""
    status = status_of(error)
    if status == 429 or status >= 500:  # also where tokens are given
        return StageFailure(
            FailureClass.STAGE_ERROR,
            f"{what}: Azure answered {status} again and again; it is busy, or has a fault",
        )
    if status == 401 or isinstance(error, ClientAuthenticationError):
        return _unknown(what, error)
    if status == 404 or isinstance(error, ResourceNotFoundError):
        return StageFailure(FailureClass.SOURCE_NOT_FOUND, f"{what} is not there{_said(error)}")
    if status == 403:
        return StageFailure(FailureClass.AUTH_DENIED, f"{what}: {_missing_role(error)}")
    if status < 400:  # none, or one whose body broke off or cannot be read
        return StageFailure(
            FailureClass.STAGE_ERROR,
            f"{what}: Azure's answer broke off, or cannot be read ({type(error).__name__})",
        )
    if status in PASSING:
        return StageFailure(
            FailureClass.STAGE_ERROR, f"{what}: others are at it, or it was slow{_said(error)}"
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
