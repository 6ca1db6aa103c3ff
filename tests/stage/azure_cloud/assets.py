"""Model assets of a workspace or a registry: what a version keeps for good and what may change."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from answers import Answer, Json, refused

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
PROVIDER = "Microsoft.MachineLearningServices"


@dataclass
class Models:
    """The models below one scope: `scope` is the resource id of the workspace or registry."""

    scope: str
    front: str
    """The address of the service that answers for them, as its own links name it."""
    ids: str
    """What the ids of models begin with: a registry's are not those of Azure Resource Manager."""
    page: int = 2
    """Versions to a page."""
    versions: dict[str, dict[str, Json]] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)

    def container(self, name: str) -> Answer:
        """The model without a version: which is the latest, which comes next."""
        if name not in self.versions:
            return self._not_found(name, None)
        numbers = [int(v) for v in self.versions[name] if v.isdigit()]
        latest = list(self.versions[name])[-1]
        state: Json = {"latestVersion": latest, "nextVersion": str(max(numbers, default=0) + 1)}
        state |= {"isArchived": name in self.archived}
        body = {"id": f"{self.ids}/models/{name}", "name": name, "type": self._type("models")}
        return Answer(200, {**body, "properties": {**state, "tags": {}, "properties": {}}})

    def archive(self, name: str, asked: Json) -> Answer:
        """What a PUT of the container changes: whether it is archived."""
        if name in self.versions and asked["properties"].get("isArchived"):
            self.archived.add(name)
        else:
            self.archived.discard(name)
        return self.container(name)

    def version(self, name: str, version: str) -> Answer:
        """One version."""
        found = self.versions.get(name, {}).get(version)
        return Answer(200, found) if found else self._not_found(name, version)

    def put(self, name: str, version: str, asked: Json, client: str) -> Answer:
        """Make a version, or change what may change of it."""
        if not NAME.fullmatch(name):
            return refused(400, "UserError", f"Invalid model name: {name}.")
        wanted = {k: v for k, v in asked["properties"].items() if v is not None}
        if not wanted.get("modelUri"):
            return refused(400, "UserError", "The field ModelUri is required.")
        kept = self.versions.get(name, {}).get(version)
        if kept and (refusal := _immutable(name, kept["properties"], wanted)):
            return refusal
        now = datetime.datetime.now(datetime.UTC).isoformat()
        created = {"createdAt": now, "createdBy": client, "createdByType": "Application"}
        made = {**(kept["systemData"] if kept else created), "lastModifiedAt": now}
        defaults: Json = {"tags": {}, "properties": {}, "flavors": {}, "description": None}
        defaults |= {"isArchived": False, "isAnonymous": False, "jobName": None, "stage": None}
        self.versions.setdefault(name, {})[version] = {
            "id": f"{self.ids}/models/{name}/versions/{version}",
            "name": version,
            "type": self._type("models/versions"),
            "properties": {**defaults, **wanted, "provisioningState": "Succeeded"},
            "systemData": {**made, "lastModifiedBy": client},
        }
        return Answer(200 if kept else 201, self.versions[name][version])

    def list(self, name: str, query: Mapping[str, str]) -> Answer:
        """The versions that were asked for, newest first, a page at a time."""
        view = query.get("listViewType", "ActiveOnly")
        found = []
        for version in reversed(self.versions.get(name, {}).values()):
            properties = version["properties"]
            archived = properties["isArchived"]
            seen = view == "All" or archived == (view == "ArchivedOnly")
            if seen and all(_has(properties[w], query.get(w, "")) for w in ("tags", "properties")):
                found.append(version)
        start = int(query.get("$skip", "0"))
        end = start + int(query.get("$top", self.page))
        body: Json = {"value": found[start:end]}
        if end < len(found):
            asked = urlencode({**query, "$skip": str(end)})
            body["nextLink"] = f"{self.front}{self.scope}/models/{name}/versions?{asked}"
        return Answer(200, body)

    def _type(self, rest: str) -> str:
        return f"{PROVIDER}/{self.scope.split('/')[-2]}/{rest}"

    def _not_found(self, name: str, version: str | None) -> Answer:
        what = f"version {version} of model {name}" if version else f"model {name}"
        return refused(404, "UserError", f"The specified resource was not found: {what}.")


def _immutable(name: str, kept: Json, wanted: Json) -> Answer | None:
    """The path is for good, and so is a property that has a value; all the rest may change."""
    if wanted["modelUri"] != kept["modelUri"]:
        return refused(400, "UserError", "Asset paths cannot be updated.")
    for key, value in kept["properties"].items():
        if wanted.get("properties", {}).get(key) != value:
            new = wanted.get("properties", {}).get(key)
            text = f"Value of property {key} for model {name} cannot be replaced to {new} without "
            return refused(400, "UserError", text + "increasing the version.")
    return None


def _has(entries: Mapping[str, str], wanted: str) -> bool:
    """Whether the entries hold all of ``name1,name2=value2``."""
    for one in filter(None, wanted.split(",")):
        name, given, value = one.partition("=")
        if name not in entries or (given and entries[name] != value):
            return False
    return True
