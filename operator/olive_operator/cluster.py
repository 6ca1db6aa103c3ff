"""The Kubernetes API behind a small protocol: every call that changes or asks something."""

import json
from typing import Any, Protocol

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from olive_operator import labels
from olive_operator.api.seen import Ref

Manifest = dict[str, Any]

_PATHS = {
    "OptimizationJob": f"/apis/{labels.API_VERSION}/namespaces/{{}}/optimizationjobs",
    "Artifact": f"/apis/{labels.API_VERSION}/namespaces/{{}}/artifacts",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Service": "/api/v1/namespaces/{}/services",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/api/v1/namespaces/{}/events",
}
_LOG_LINES = 40


class ClusterError(Exception):
    """The API server refused a request; the text is its own sentence."""

    def __init__(self, error: DynamicApiError) -> None:
        try:
            said = json.loads(error.body or "")
        except ValueError:
            said = {}
        super().__init__(f"{error.status} {said.get('message', error.reason)}")
        self.status = error.status
        causes = (said.get("details") or {}).get("causes") or []
        self.causes = {cause.get("reason", "") for cause in causes}


class Cluster(Protocol):
    """What carrying out a plan, and following it, needs of a cluster."""

    async def create(self, manifest: Manifest) -> None:
        """Create the object; one of that name that is there already is left as it is.

        In a namespace that is being deleted nothing is created, and nothing is missed.
        """

    async def apply(self, manifest: Manifest) -> None:
        """Server-side apply under our field manager."""

    async def delete(self, namespace: str, ref: Ref) -> None:
        """Delete the object and, in the background, what it owns; absent is fine."""

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        """Apply the status; the object as it is then, or None if it is gone."""

    async def log(self, namespace: str, pod: str) -> list[str]:
        """The last lines of a pod's log; none if there is no log (yet)."""

    async def served(self, address: str) -> frozenset[str] | None:
        """Keys of what the serving pod at ``address`` has loaded; None: no answer."""


class KubernetesCluster:
    """The real one."""

    def __init__(self, api: ApiClient, http: aiohttp.ClientSession) -> None:
        self._dynamic: Any = DynamicClient(api)
        self._http = http

    async def create(self, manifest: Manifest) -> None:
        try:
            await self._request("post", _collection(manifest), body=manifest)
        except ClusterError as error:
            if error.status != 409 and "NamespaceTerminating" not in error.causes:
                raise

    async def apply(self, manifest: Manifest) -> None:
        await self._apply(_object(manifest), manifest)

    async def delete(self, namespace: str, ref: Ref) -> None:
        path = f"{_PATHS[ref.kind].format(namespace)}/{ref.name}"
        try:
            await self._request("delete", path, propagation_policy="Background")
        except ClusterError as error:
            if error.status != 404:
                raise

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        try:
            return await self._apply(f"{_object(manifest)}/status", manifest)
        except ClusterError as error:
            # A conflict on the uid: the job was deleted and another of its name is there.
            if error.status in (404, 409):
                return None
            raise

    async def log(self, namespace: str, pod: str) -> list[str]:
        path = f"{_PATHS['Pod'].format(namespace)}/{pod}/log"
        try:
            response = await self._dynamic.request(
                "get", path, query_params=[("tailLines", _LOG_LINES)], serialize=False
            )
        except DynamicApiError:
            return []
        text: str = (await response.read()).decode(errors="replace")
        return text.splitlines()

    async def served(self, address: str) -> frozenset[str] | None:
        try:
            async with self._http.get(f"http://{address}/v1/models") as response:
                body = await response.json()
                return frozenset(model["root"] for model in body["data"])
        except (TimeoutError, aiohttp.ClientError, KeyError, TypeError, ValueError):
            return None

    async def _apply(self, path: str, manifest: Manifest) -> Manifest:
        return await self._request(
            "patch",
            path,
            body=manifest,
            content_type="application/apply-patch+yaml",
            field_manager=labels.FIELD_MANAGER,
            force_conflicts=True,
        )

    async def _request(self, method: str, path: str, **options: Any) -> Manifest:
        try:
            response = await self._dynamic.request(method, path, serialize=False, **options)
        except DynamicApiError as error:
            raise ClusterError(error) from error
        body: Manifest = await response.json()
        return body


def _collection(manifest: Manifest) -> str:
    return _PATHS[manifest["kind"]].format(manifest["metadata"]["namespace"])


def _object(manifest: Manifest) -> str:
    return f"{_collection(manifest)}/{manifest['metadata']['name']}"
