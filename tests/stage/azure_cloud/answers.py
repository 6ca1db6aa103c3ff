"""What the stand-in answers, and refusals in the words of Azure Resource Manager."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One request as the services see it; `client` is who the token was given to."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    client: str = ""


@dataclass(frozen=True)
class Answer:
    """A status, a JSON body (none: an empty one) and headers of its own."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def refused(status: int, code: str, message: str) -> Answer:
    """An error as Azure Machine Learning's front end writes it."""
    info = [{"type": "ComponentName", "info": {"value": "managementfrontend"}}]
    body = {"code": code, "message": message, "details": [], "additionalInfo": info}
    return Answer(status, {"error": body})


def resource_not_found(scope: str) -> Answer:
    """The workspace, datastore or registry is not there."""
    kind, name = scope.split("/")[-2:]
    return Answer(
        404,
        {
            "error": {
                "code": "ResourceNotFound",
                "message": f"The Resource 'Microsoft.MachineLearningServices/{kind}/{name}' "
                f"under resource group '{scope.split('/')[4]}' was not found. For more details "
                "please go to https://aka.ms/ARMResourceNotFoundFix",
            }
        },
    )


def unauthenticated() -> Answer:
    """The request has no token that was given out."""
    message = "Authentication failed. The 'Authorization' header is missing or its token invalid."
    body = {"error": {"code": "AuthenticationFailed", "message": message}}
    return Answer(401, body, {"WWW-Authenticate": 'Bearer authorization_uri="", error="invalid"'})


def forbidden(client: str, action: str, scope: str) -> Answer:
    """A client without a role that has `action`."""
    message = (
        f"The client '{client}' with object id '{client}' does not have authorization to perform "
        f"action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials."
    )
    return Answer(403, {"error": {"code": "AuthorizationFailed", "message": message}})
