"""What somebody has asked of the API server, by its audit log, and what roles let them ask."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class Right:
    """To do something with a resource (``group/resource/subresource``) in a namespace.

    The namespace is empty where it is the whole cluster.
    """

    namespace: str
    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} in {self.namespace or 'the whole cluster'}"

    def covers(self, other: "Right") -> bool:
        """Whether who has this right needs no other for that."""
        here = self.namespace in ("", other.namespace)
        return here and (self.verb, self.resource) == (other.verb, other.resource)


class AuditLog:
    """The log of a control plane, as far as it is about one user."""

    def __init__(self, kubeconfig: Path, user: str) -> None:
        self._path, self._user = kubeconfig.parent / "logs" / "audit.log", user

    def used(self) -> set[Right]:
        """What was asked of resources and allowed."""
        return {right for event in self._events("allow") for right in _rights(event)}

    def denied(self) -> set[Right]:
        """What was asked of resources and denied."""
        return {right for event in self._events("forbid") for right in _rights(event)}

    def paths(self) -> set[str]:
        """What was asked for beside resources."""
        found = (*self._events("allow"), *self._events("forbid"))
        return {event["requestURI"].partition("?")[0] for event in found if not _of(event)}

    def _events(self, decision: str) -> Iterator[dict[str, Any]]:
        for line in self._path.read_text().splitlines():
            event = json.loads(line)
            decided = event["annotations"]["authorization.k8s.io/decision"]
            if (event["user"]["username"], decided) == (self._user, decision):
                yield event


def granted(roles: Iterable[dict[str, Any]]) -> set[Right]:
    """What these Roles and ClusterRoles allow."""
    return {
        Right(role["metadata"].get("namespace", ""), verb, _named(group, *resource.split("/")))
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _rights(event: dict[str, Any]) -> Iterator[Right]:
    if not (of := _of(event)):
        return
    resource = _named(of.get("apiGroup", ""), of["resource"], of.get("subresource", ""))
    yield Right(of.get("namespace", ""), event["verb"], resource)
    if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
        # Server-side apply of what is not there yet takes the right to create it, too.
        yield Right(of.get("namespace", ""), "create", resource)


def _of(event: dict[str, Any]) -> dict[str, Any]:
    """The resource that an event is about, if it is about one."""
    of: dict[str, Any] = event.get("objectRef", {})
    return of if "resource" in of else {}


def _named(*parts: str) -> str:
    return "/".join(part for part in parts if part)
