"""In place of the scheduler: a bounded number of places, given to pods in the order they come.

    python -m controller_parts.binder KUBECONFIG PLACES NODES

The scheduler tries every pod that finds no room again and again; of two cores that play a whole
cluster it takes a tenth. Nothing here measures it. The first line on stdout is empty and says that
pods are seen from now on. A place is free again when its pod has succeeded.
"""

import asyncio
import sys
from itertools import cycle
from typing import Any

from kubernetes.aio import client, config

from controller_parts.watching import Watch

Pod = tuple[str, str]


async def main(kubeconfig: str, places: int, nodes: list[str]) -> None:
    """Until killed."""
    await config.load_kube_config(kubeconfig)
    free, waiting = asyncio.Semaphore(places), asyncio.Queue[Pod]()
    async with client.ApiClient() as api, asyncio.TaskGroup() as group:
        unbound = Watch(api, "/api/v1/pods", [("fieldSelector", "spec.nodeName=")])
        ended = Watch(api, "/api/v1/pods", [("fieldSelector", "status.phase=Succeeded")])
        await unbound.begin()
        await ended.begin()
        print(flush=True)
        group.create_task(_queue(unbound, waiting))
        group.create_task(_release(ended, free))
        for node in cycle(nodes):
            await free.acquire()
            group.create_task(_bind(api, await waiting.get(), node))


async def _queue(unbound: Watch, waiting: asyncio.Queue[Pod]) -> None:
    async for _, meta in unbound.appear():
        waiting.put_nowait((meta["namespace"], meta["name"]))


async def _release(ended: Watch, free: asyncio.Semaphore) -> None:
    async for _ in ended.appear():
        free.release()


async def _bind(api: Any, pod: Pod, node: str) -> None:
    namespace, name = pod
    request = await api.param_serialize(
        "POST",
        f"/api/v1/namespaces/{namespace}/pods/{name}/binding",
        header_params={"Accept": "application/json", "Content-Type": "application/json"},
        body={
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        },
        auth_settings=["BearerToken"],
    )
    async with (await api.call_api(*request)).response as answer:
        if answer.status >= 300:
            raise RuntimeError(f"{namespace}/{name} is not bound: {await answer.text()}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")))
