"""The client that measures: a process of its own, which does nothing but watch.

    python -m controller_parts.measure KUBECONFIG

One line of JSON for each event (timeline.Event), stamped before it is decoded; the first line is
empty and says that both watches stand. The API server sends a pod when its phase becomes Succeeded
and not before; of the Jobs' events all but the first are dropped unread.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Literal

from kubernetes.aio import client, config

from controller_parts.timeline import Event
from controller_parts.watching import Watch
from olive_operator import labels

_OURS = ("labelSelector", f"{labels.MANAGED_BY}={labels.FIELD_MANAGER}")


async def main(kubeconfig: str) -> None:
    """Until killed."""
    await config.load_kube_config(kubeconfig)
    async with client.ApiClient() as api, asyncio.TaskGroup() as group:
        jobs = Watch(api, "/apis/batch/v1/jobs", [_OURS])
        ended = Watch(api, "/api/v1/pods", [_OURS, ("fieldSelector", "status.phase=Succeeded")])
        await jobs.begin()
        await ended.begin()
        print(flush=True)
        group.create_task(_tell(jobs, "created"))
        group.create_task(_tell(ended, "finished"))


async def _tell(watch: Watch, what: Literal["created", "finished"]) -> None:
    async for at, meta in watch.appear():
        job = f"{meta['namespace']}/{meta['labels'][labels.JOB]}"
        event = Event(at, what, job, meta["annotations"][labels.STAGE_NAME])
        print(json.dumps(asdict(event)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
