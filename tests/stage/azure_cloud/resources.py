"""Azure Machine Learning as its clients ask it: a workspace by Azure Resource Manager, a registry
by the front end of its region, which also hands out signed URLs to the registry's storage."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from answers import Answer, Json, Request, forbidden, refused, resource_not_found
from assets import PROVIDER, Models

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "lab"
SCOPE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{PROVIDER}"
WORKSPACE = "team"
REGISTRY = "shared"
DATASTORE = "workspaceblobstore"
CONTAINER = "azureml-blobstore"
FRONT = "/mferp/managementfrontend"
MODEL = re.compile(r"/models/(?P<name>[^/]+)(?:(?P<versions>/versions)(?:/(?P<version>[^/]+))?)?")


@dataclass
class Storage:
    """The account that the datastore names, and how to make and sign a container of it."""

    account: str
    suffix: str
    key: str
    container: Callable[[str], None]
    sign: Callable[[str, str], str]
    """The URL of a container with a signature for these permissions."""


@dataclass
class Resources:
    """One workspace with one datastore, and one registry."""

    manager: str
    region: str
    """The addresses of Resource Manager and of the registry's region."""
    storage: Storage
    by_identity: bool = False
    """Whether the datastore has no credentials, so that clients come with their own identity."""
    denied: set[str] = field(default_factory=set)
    containers: dict[tuple[str, str], str] = field(default_factory=dict)
    """The container that a registry keeps for a version."""

    def __post_init__(self) -> None:
        workspace, registry = f"{SCOPE}/workspaces/{WORKSPACE}", f"{SCOPE}/registries/{REGISTRY}"
        self.workspace = Models(workspace, self.manager, workspace)
        ids = f"azureml://registries/{REGISTRY}"
        self.registry = Models(registry, self.region + FRONT, ids)

    def forget(self) -> None:
        """No models, no refusals, and a datastore with an account key."""
        for models in (self.workspace, self.registry):
            models.versions.clear()
            models.archived.clear()
        self.containers.clear()
        self.denied.clear()
        self.by_identity = False

    def respond(self, request: Request) -> Answer:
        """The answer of whichever service has the path."""
        path = request.path.removeprefix(FRONT)
        if path.startswith("/registrymanagement/"):
            return self.discovery(path)
        for models in (self.workspace, self.registry):
            if path.lower().startswith(models.scope.lower()):
                rest = path[len(models.scope) :]
                kind = "workspaces" if models is self.workspace else "registries"
                action = f"{PROVIDER}/{kind}{_action(kind, rest, request.method)}"
                if action in self.denied:
                    return forbidden(request.client, action, path)
                return self.dispatch(models, rest, request)
        scope = "/".join(path.split("/")[:9])
        return resource_not_found(scope) if scope.count("/") == 8 else Answer(404)

    def dispatch(self, models: Models, rest: str, request: Request) -> Answer:
        """A request below a workspace or a registry."""
        if match := MODEL.fullmatch(rest):
            return self.model(models, match, request)
        if models is self.registry:
            return self.reference(rest, request)
        if rest == "":
            return Answer(200, self._workspace())
        if rest == "/datastores":
            return Answer(200, {"value": [self._datastore()]})
        if rest == f"/datastores/{DATASTORE}":
            return Answer(200, self._datastore())
        if rest == f"/datastores/{DATASTORE}/listSecrets" and request.method == "POST":
            if self.by_identity:
                return refused(400, "UserError", "No secrets for credentials of type None.")
            return Answer(200, {"secretsType": "AccountKey", "key": self.storage.key})
        return resource_not_found(models.scope + rest)

    def model(self, models: Models, match: "re.Match[str]", request: Request) -> Answer:
        """A request for a model or one of its versions."""
        name, version = match["name"], match["version"]
        if request.method == "PUT":
            asked: Json = json.loads(request.body)
            if version is None:
                return models.archive(name, asked)
            answer = models.put(name, version, asked, request.client)
            if models is self.registry and answer.status == 201:
                self.containers.pop((name, version), None)
            return answer
        if request.method != "GET":
            return Answer(405)
        if version is not None:
            return models.version(name, version)
        return models.list(name, request.query) if match["versions"] else models.container(name)

    def discovery(self, path: str) -> Answer:
        """Where a registry is."""
        if path.split("/")[-2] != REGISTRY:
            return refused(404, "UserError", "Registry not found.")
        body = {"registryName": REGISTRY, "primaryRegion": "here", "regions": ["here"]}
        body |= {"subscriptionId": SUBSCRIPTION, "resourceGroup": GROUP}
        return Answer(200, {**body, "primaryRegionResourceProviderUri": f"{self.region}/"})

    def reference(self, rest: str, request: Request) -> Answer:
        """A signed URL: to write a version that is not there yet, or to read one that is."""
        match = re.fullmatch(r"/(tempdatarefs|datarefs)/([^/]+)/versions/([^/]+)", rest)
        if match is None:
            return resource_not_found(self.registry.scope + rest)
        kind, name, version = match.groups()
        there = self.registry.version(name, version)
        if kind == "datarefs":
            if there.status != 200:
                return there
            container = there.body["properties"]["modelUri"].split("/")[3]
            return _reference(self.storage.sign(container, "rl"))
        if there.status == 200:
            text = f"Model {name} with version {version} already exists in registry {REGISTRY}."
            return refused(409, "UserError", text)
        key = (name, version)
        if key not in self.containers:
            self.containers[key] = f"mod-{uuid.uuid4()}"
            self.storage.container(self.containers[key])
        return _reference(self.storage.sign(self.containers[key], "rcwl"))

    def _workspace(self) -> Json:
        properties = {"workspaceId": str(uuid.UUID(int=7)), "discoveryUrl": f"{self.manager}/d"}
        body = {"id": self.workspace.scope, "name": WORKSPACE, "location": "here"}
        return {**body, "type": f"{PROVIDER}/workspaces", "properties": properties}

    def _datastore(self) -> Json:
        credentials = {"credentialsType": "None" if self.by_identity else "AccountKey"}
        properties = {"datastoreType": "AzureBlob", "accountName": self.storage.account}
        properties |= {"containerName": CONTAINER, "endpoint": self.storage.suffix}
        more: Json = {"protocol": "https", "isDefault": True, "credentials": credentials}
        more |= {"tags": {}, "properties": {}, "description": None}
        body = {"id": f"{self.workspace.scope}/datastores/{DATASTORE}", "name": DATASTORE}
        body |= {"type": f"{PROVIDER}/workspaces/datastores"}
        return {**body, "properties": {**properties, **more}}


def _action(kind: str, rest: str, method: str) -> str:
    """The permission that a request needs."""
    verb = "read" if method == "GET" else "write"
    if kind == "registries":
        return "/assets/read" if "/datarefs/" in rest else f"/assets/{verb}"
    if rest.endswith("/listSecrets"):
        return "/datastores/listsecrets/action"
    if rest.startswith("/datastores"):
        return "/datastores/read"
    if rest.startswith("/models"):
        return f"/models/{'versions/' if '/versions' in rest else ''}{verb}"
    return f"/{verb}"


def _reference(signed: str) -> Answer:
    uri = signed.partition("?")[0]
    credential = {"credentialType": "SAS", "sasUri": signed}
    return Answer(200, {"blobReferenceForConsumption": {"blobUri": uri, "credential": credential}})
