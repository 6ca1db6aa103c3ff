"""Putting the operator together: settings, credentials, client, queue, and the two loops."""

import asyncio
import dataclasses
import logging
import os
from typing import Any

import aiohttp
import kopf
import prometheus_client
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from olive_operator import handlers, labels, metrics, names
from olive_operator.cluster import KubernetesCluster
from olive_operator.config import Config
from olive_operator.queue import Queue
from olive_operator.reconcile import Reconciler
from olive_operator.records import JobKey

log = logging.getLogger("olive.startup")

_OURS = f"{labels.MANAGED_BY}={labels.FIELD_MANAGER}"
_SERVING_ANSWER_SECONDS = 2.0


async def run(config: Config, liveness: str | None) -> None:
    """Run until told to stop. ``liveness`` is the URL of kopf's own probe endpoint."""
    queue: Queue[JobKey] = Queue()
    metrics.watch_queue(lambda: len(queue))
    await _load_credentials()
    timeout = aiohttp.ClientTimeout(total=_SERVING_ANSWER_SECONDS)
    async with (
        kubernetes_client.ApiClient() as api,
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        cluster = KubernetesCluster(api, http)
        registry = _registry(queue)
        views: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        @kopf.on.startup(registry=registry)
        async def configure(settings: kopf.OperatorSettings, **kwargs: Any) -> None:
            _configure(settings)
            views.set_result(kwargs)

        async def reconcile() -> None:
            index = handlers.KopfIndex(await views)
            reconciler = Reconciler(queue, index, cluster, config)
            prometheus_client.REGISTRY.register(reconciler.phases)
            await reconciler.run()

        loop = asyncio.create_task(reconcile(), name="reconcile")
        watching = asyncio.create_task(
            kopf.operator(
                registry=registry,
                standalone=True,
                clusterwide=not config.namespaces,
                namespaces=config.namespaces,
                liveness_endpoint=liveness,
            ),
            name="kopf",
        )
        # Either loop's end is the process's: Kubernetes starts it again, and nothing is lost.
        done, left = await asyncio.wait({loop, watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in done:
            task.result()


def _registry(queue: Queue[JobKey]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)
    handlers.register(registry, queue)
    return registry


async def _login(**given: Any) -> kopf.ConnectionInfo | None:
    """Credentials for kopf. Its default would import the client's blocking half as well."""
    if not _in_cluster():
        return kopf.login_with_kubeconfig(**given)
    found = kopf.login_with_service_account(**given)
    # By address, as every other client: the operator must not need the cluster's DNS.
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    return found and dataclasses.replace(found, server=f"https://{address}:{port}")


def _configure(settings: kopf.OperatorSettings) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    for resource in (
        ("batch", "v1", "jobs"),
        ("", "v1", "pods"),
        ("apps", "v1", "deployments"),
        ("", "v1", "services"),
        ("", "v1", "configmaps"),
    ):
        settings.watching.label_selectors[resource] = _OURS
    claims = ("", "v1", "persistentvolumeclaims")
    settings.watching.field_selectors[claims] = f"metadata.name={names.DEFAULT_CLAIM}"


def _in_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


async def _load_credentials() -> None:
    if _in_cluster():
        kubernetes_config.load_incluster_config()
    else:
        await kubernetes_config.load_kube_config()
