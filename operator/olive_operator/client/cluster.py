"""The Kubernetes API behind a small protocol: every call that changes or asks something."""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import aiohttp

from olive_operator import labels
from olive_operator.api.seen import Ref
from olive_operator.client.apiserver import ApiError, ApiServer

Manifest = dict[str, Any]

_PATHS: Final[Mapping[str, str]] = {
    "OptimizationJob": f"/apis/{labels.API_VERSION}/namespaces/{{}}/optimizationjobs",
    "Artifact": f"/apis/{labels.API_VERSION}/namespaces/{{}}/artifacts",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Service": "/api/v1/namespaces/{}/services",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/api/v1/namespaces/{}/events",
}
_KUEUE: Final = "/apis/kueue.x-k8s.io"
_OWNERS = frozenset({"OptimizationJob", "Job", "Deployment"})
"""Of these the pods are to be gone before the object is."""
_LOG: Final = (("tailLines", "40"), ("limitBytes", "65536"))
_LOG_SECONDS = 5.0
_MODELS_BYTES: Final = 2**20


class Cluster(Protocol):
    """What carrying out a plan, and following it, needs of a cluster. All raise ApiError."""

    async def create(self, manifest: Manifest) -> Manifest | None:
        """Create the object; it as it is then. None, and nothing done, if one of the name is there.

        In a namespace that is being deleted nothing is created, and nothing is missed.
        """

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply under our field manager."""

    async def patch(self, namespace: str, ref: Ref, patch: Manifest) -> Manifest | None:
        """Merge the patch into the object; it as it is then. None if it is gone, or another uid."""

    async def delete(self, namespace: str, ref: Ref, uid: str, version: int = 0) -> None:
        """Delete the object once what it owns is gone, unless it is another by now; absent is fine.

        With a ``version``, not if it has changed since.
        """

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        """Replace the status; the object as it is then. Nothing else of the manifest counts.

        None if there is no object of this uid at this version any more: who plans is behind.
        """

    async def log(self, namespace: str, pod: str) -> list[str]:
        """The last lines of a pod's log; none if there is no log yet."""

    async def refusals(self, namespace: str) -> Mapping[str, str]:
        """Why pods of batch/v1 Jobs were not created lately, by the Job's name."""

    async def local_queue(self, namespace: str, name: str) -> str:
        """Why this LocalQueue of Kueue cannot be used, empty if it can."""

    async def served(self, address: str) -> frozenset[str] | None:
        """Keys of the adapters that the pod at ``address`` has loaded; None: no answer."""


class KubernetesCluster:
    """The real one."""

    def __init__(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        self._server, self._http = server, http

    async def create(self, manifest: Manifest) -> Manifest | None:
        try:
            return await self._server.request("POST", _collection(manifest), manifest)
        except ApiError as error:
            if error.status == 409 or "NamespaceTerminating" in error.causes:
                return None
            raise

    async def apply(self, manifest: Manifest) -> Manifest:
        return await self._apply(_object(manifest), manifest)

    async def patch(self, namespace: str, ref: Ref, patch: Manifest) -> Manifest | None:
        path = f"{_PATHS[ref.kind].format(namespace)}/{ref.name}"
        merge = "application/merge-patch+json"
        try:
            return await self._server.request("PATCH", path, patch, content_type=merge)
        except ApiError as error:
            if error.status in (404, 409):
                return None
            raise

    async def delete(self, namespace: str, ref: Ref, uid: str, version: int = 0) -> None:
        path = f"{_PATHS[ref.kind].format(namespace)}/{ref.name}"
        first = "Foreground" if ref.kind in _OWNERS else "Background"
        only = {"uid": uid, **({"resourceVersion": str(version)} if version else {})}
        options = {"propagationPolicy": first, "preconditions": only}
        try:
            await self._server.request("DELETE", path, options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        # Replaced, not applied: the API server merges fields of nobody else's, and a long status
        # is its dearest request. What is beside the status it takes from the object itself.
        path, us = f"{_object(manifest)}/status", [("fieldManager", labels.FIELD_MANAGER)]
        try:
            return await self._server.request("PUT", path, manifest, query=us)
        except ApiError as error:
            if error.status in (404, 409):
                return None
            raise

    async def log(self, namespace: str, pod: str) -> list[str]:
        path = f"{_PATHS['Pod'].format(namespace)}/{pod}/log"
        try:
            text = await self._server.text(
                "GET", path, query=_LOG, accept="*/*", seconds=_LOG_SECONDS, of_node=True
            )
        except ApiError as error:
            if error.status in (400, 404):
                return []
            raise
        return text.decode(errors="replace").splitlines()

    async def refusals(self, namespace: str) -> Mapping[str, str]:
        about = "involvedObject.kind=Job,reason=FailedCreate"
        path, query = _PATHS["Event"].format(namespace), [("fieldSelector", about)]
        found = await self._server.request("GET", path, query=query)
        oldest_first = sorted(found["items"], key=_last_seen)
        return {e["involvedObject"].get("name", ""): e.get("message") or "" for e in oldest_first}

    async def local_queue(self, namespace: str, name: str) -> str:
        try:
            found = await self._local_queue(namespace, name)
        except ApiError as error:
            if error.passing:
                raise
            return f"LocalQueue {name} cannot be looked up: {error}"
        if isinstance(found, str):
            return found
        for condition in (found.get("status") or {}).get("conditions") or ():
            if (condition["type"], condition["status"]) == ("Active", "False"):
                return f"LocalQueue {name} is not active: {condition['message']}"
        return ""

    async def _local_queue(self, namespace: str, name: str) -> Manifest | str:
        """The LocalQueue, or what is missing."""
        try:
            group = await self._server.request("GET", _KUEUE)
        except ApiError as error:
            if error.status != 404:
                raise
            return (
                f"spec.queue names {name}, but Kueue is not installed in this cluster; "
                "install it, or leave queue out"
            )
        version = group["preferredVersion"]["groupVersion"]
        path = f"/apis/{version}/namespaces/{namespace}/localqueues/{name}"
        try:
            return await self._server.request("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return (
                f"namespace {namespace} has no LocalQueue {name}; "
                "create it, or name another in spec.queue"
            )

    async def served(self, address: str) -> frozenset[str] | None:
        try:
            # Whoever may make pods may answer here: it leads nowhere else, and not for long.
            address = f"http://{address}/v1/olive/adapters"
            async with self._http.get(address, allow_redirects=False) as response:
                text = b""
                async for part in response.content.iter_any():
                    if len(text := text + part) > _MODELS_BYTES:
                        return None
                adapters = json.loads(text)["data"]
                return frozenset(a["key"] for a in adapters if a["state"] == "loaded")
        except (TimeoutError, aiohttp.ClientError, KeyError, TypeError, ValueError):
            return None

    async def _apply(self, path: str, manifest: Manifest) -> Manifest:
        return await self._server.request(
            "PATCH",
            path,
            manifest,
            query=[("fieldManager", labels.FIELD_MANAGER), ("force", "true")],
            content_type="application/apply-patch+yaml",
        )


def _last_seen(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _collection(manifest: Manifest) -> str:
    return _PATHS[manifest["kind"]].format(manifest["metadata"]["namespace"])


def _object(manifest: Manifest) -> str:
    return f"{_collection(manifest)}/{manifest['metadata']['name']}"
