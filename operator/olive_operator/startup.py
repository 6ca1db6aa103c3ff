"""Putting the operator together: credentials, watches, the Lease, the loop; and ending it again."""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import aiohttp
import prometheus_client
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from olive_operator import metrics
from olive_operator.api.seen import JobSeen
from olive_operator.api.status import Status
from olive_operator.client.apiserver import ApiServer
from olive_operator.client.cluster import KubernetesCluster
from olive_operator.client.connection import connect
from olive_operator.client.leader import Leader
from olive_operator.config import Config
from olive_operator.reconcile.reconciler import Reconciler
from olive_operator.reconcile.stores import Stores
from olive_operator.scheduling.queue import Queue
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.gate import Gate
from olive_operator.watch.informer import Watcher
from olive_operator.watch.jobs import Jobs, in_cluster
from olive_operator.watch.kinds import watched

log = logging.getLogger("olive.startup")

Wait = Callable[[], Coroutine[Any, Any, None]]
Trace = Callable[[JobSeen, Status, datetime], None]

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_SERVING_ANSWER_SECONDS: Final = 2.0
_ENDING_SECONDS: Final = 8.0
"""For the passes that are under way when we are told to stop."""


async def run(config: Config, liveness: str | None) -> None:
    """Run until told to stop. ``liveness`` is the URL of kopf's own probe endpoint."""
    namespace = lease_namespace(config)
    await _load_credentials()
    told = _told_to_stop()
    answer = aiohttp.ClientTimeout(total=_SERVING_ANSWER_SECONDS)
    async with (
        connect(kubernetes_client.Configuration.get_default_copy()) as connection,
        aiohttp.ClientSession(timeout=answer) as http,
        _tracing(config.tracing.endpoint) as trace,
    ):
        leader = Leader(ApiServer(connection, tries=1), namespace, _identity(), config.lease)
        server = ApiServer(connection, leader.must_lead)
        queue: Queue[JobKey] = Queue()
        cache = Cache()
        cluster = KubernetesCluster(server, http)

        def poke(keys: Iterable[JobKey], after: float = 0.0) -> None:
            for key in keys:
                queue.add_after(key, after) if after else queue.add(key)

        jobs = Jobs(server, config.namespaces, cache, poke, liveness)
        reconciler = Reconciler(queue, cache, cluster, config, jobs.doubt, trace=trace)
        gate = Gate(queue.hold)
        stores = Stores(
            cache, cluster, config, reconciler.planned, poke, informed=lambda: gate.open
        )
        metrics.watch_queue(lambda: len(queue))
        for collector in (
            metrics.Jobs(reconciler.planned),
            metrics.EachJob(reconciler.planned, config.metrics.jobs),
            stores.sizes,
        ):
            prometheus_client.REGISTRY.register(collector)
        watchers = [
            Watcher(server, kind, where, cache, poke, jobs.doubt, gate.look)
            for kind in watched(config.gatewayAPI)
            for where in config.namespaces or ("",)
        ]
        gate.waits_for(watchers)
        async with _watching([jobs, *watchers], told) as listed:
            await _work(leader, reconciler, stores, listed, told)


@asynccontextmanager
async def _tracing(endpoint: str) -> AsyncIterator[Trace]:
    """What tells a receiver of traces how jobs go on, if there is one."""
    if not endpoint:
        yield lambda *_: None
        return
    # It takes memory that those without traces need not have.
    from olive_operator.tracing_export import Exporter

    exporter = Exporter(endpoint)
    try:
        yield exporter.ended
    finally:
        await asyncio.to_thread(exporter.close)


@asynccontextmanager
async def _watching(watches: Sequence[Jobs | Watcher], told: asyncio.Event) -> AsyncIterator[Wait]:
    """Watch meanwhile; yields what waits until everything is listed once.

    A watch never ends by itself. If one does, nothing that is known can be relied on: what is under
    way is ended, and Kubernetes starts this process again.
    """
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    for task in tasks:
        task.add_done_callback(lambda _: told.set())

    async def listed() -> None:
        for watch in watches:
            await watch.listed.wait()

    try:
        yield listed
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _work(
    leader: Leader,
    reconciler: Reconciler,
    stores: Stores,
    listed: Wait,
    told: asyncio.Event,
) -> None:
    """Work while the Lease is ours; when told to stop, end what is under way and give it back."""
    stop = asyncio.create_task(told.wait())
    for first, then in ((listed, "everything is listed"), (leader.take, "leading")):
        task = asyncio.create_task(first())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            task.cancel()
            await asyncio.wait({task})
            await leader.give_back()
            return
        task.result()
        log.info(then)
    metrics.LEADING.set(1)
    keeping = asyncio.create_task(leader.keep())
    passes = asyncio.create_task(reconciler.run())
    upkeep = asyncio.create_task(stores.run())
    await asyncio.wait({passes, keeping, stop}, return_when=asyncio.FIRST_COMPLETED)
    upkeep.cancel()  # wherever it is: whoever leads next goes on there
    reconciler.stop()
    if not keeping.done():
        await asyncio.wait(
            {passes, keeping}, timeout=_ENDING_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    if keeping.done():
        _end_at_once(keeping.exception())
    keeping.cancel()
    await asyncio.wait({keeping, upkeep})
    if passes.done():
        await leader.give_back()
        passes.result()


def _end_at_once(error: BaseException | None) -> NoReturn:
    """Another may be leading already: not a single request more."""
    log.critical("no longer leading: %s", error)
    logging.shutdown()
    os._exit(1)


def _identity() -> str:
    """Who holds the Lease. A pod has one operator at a time: restarted, it takes its own back."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}_{uuid.uuid4()}"


def lease_namespace(config: Config) -> str:
    """Where the Lease is. ValueError where nothing says it."""
    if config.lease.namespace:
        return config.lease.namespace
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError:
        raise ValueError("lease.namespace: outside of a pod it has to be given") from None


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


async def _load_credentials() -> None:
    if in_cluster():
        kubernetes_config.load_incluster_config()
    else:
        await kubernetes_config.load_kube_config()
