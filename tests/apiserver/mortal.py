"""The operator's loop in the test's own process: it dies after so many effects, and is born anew.

All that it knows dies with it: the next one lists everything, as a process does that was killed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from olive_operator.api.seen import Ref
from olive_operator.client.apiserver import ApiServer
from olive_operator.client.cluster import KubernetesCluster, Manifest
from olive_operator.client.connection import connect
from olive_operator.config import Config
from olive_operator.reconcile.reconciler import Reconciler
from olive_operator.scheduling.queue import Queue
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.informer import Watcher
from olive_operator.watch.kinds import JOBS, watched

T = TypeVar("T")


class Mortal(KubernetesCluster):
    """Effects to the ``left``-th are asked for, none after it; ``heard``: the last one's answer is.

    ``last``: by what it did, how often that was the last.
    """

    def __init__(self, server: ApiServer, http: aiohttp.ClientSession, last: Counter[str]) -> None:
        super().__init__(server, http)
        self.left, self.heard, self.last = 0, True, last
        self.died = asyncio.Event()
        self._asked, self._ends = 0, False

    async def create(self, manifest: Manifest) -> Manifest | None:
        return await self._effect(f"create {manifest['kind']}", super().create(manifest))

    async def apply(self, manifest: Manifest) -> Manifest:
        return await self._effect(f"apply {manifest['kind']}", super().apply(manifest))

    async def delete(self, namespace: str, ref: Ref, uid: str, version: int = 0) -> None:
        effect = super().delete(namespace, ref, uid, version)
        await self._effect(f"delete {ref.kind}", effect)

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        return await self._effect("write the status", super().write_status(manifest))

    async def _effect(self, what: str, effect: Coroutine[Any, Any, T]) -> T:
        if not self.left:
            effect.close()
            return await self._end()
        self.left -= 1
        is_last = not self.left
        if is_last:
            self.last[what] += 1
        self._asked += 1
        try:
            answer = await effect
        finally:
            self._asked -= 1
            if self._ends and not self._asked:
                self.died.set()
        if (is_last and not self.heard) or self._ends:
            return await self._end()
        return answer

    async def _end(self) -> NoReturn:
        """Nothing comes of it any more, but what was asked for before reaches the API server."""
        self._ends = True
        if not self._asked:
            self.died.set()
        await asyncio.Event().wait()
        raise AssertionError("it is dead")


@asynccontextmanager
async def lives(
    kubeconfig: Path, namespace: str, config: Config, effects: int, heard: bool
) -> AsyncIterator[Counter[str]]:
    """One operator after the other, each with so many effects; what the last ones were."""
    loaded = kubernetes_client.Configuration()
    await kubernetes_config.load_kube_config(str(kubeconfig), client_configuration=loaded)
    loaded.connection_pool_maxsize = 0
    last: Counter[str] = Counter()

    async def go_on() -> None:
        while True:
            async with connect(loaded) as api, aiohttp.ClientSession() as http:
                cluster = Mortal(ApiServer(api), http, last)
                cluster.left, cluster.heard = effects, heard
                await _life(ApiServer(api), cluster, namespace, config)

    task = asyncio.create_task(go_on())
    try:
        yield last
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.wait({task})


async def _life(server: ApiServer, cluster: Mortal, namespace: str, config: Config) -> None:
    queue: Queue[JobKey] = Queue()
    cache = Cache()
    reconciler = Reconciler(queue, cache, cluster, config, lambda: None)

    def poke(keys: Iterable[JobKey], after: float = 0.0) -> None:
        for key in keys:
            queue.add_after(key, after) if after else queue.add(key)

    kinds = [*watched(config.gatewayAPI), JOBS]
    watchers = [Watcher(server, kind, namespace, cache, poke) for kind in kinds]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    try:
        for watcher in watchers:
            await watcher.listed.wait()
        tasks.append(asyncio.create_task(reconciler.run()))
        died = asyncio.create_task(cluster.died.wait())
        await asyncio.wait({died, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
