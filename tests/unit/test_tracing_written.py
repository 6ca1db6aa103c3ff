"""Of which statuses a trace is told: of those that were written, and of each once."""

from typing import Any

import pytest
from builders import CONFIG, NOON, job_seen, spec

from olive_operator.client.cluster import Manifest
from olive_operator.reconcile.reconciler import Reconciler
from olive_operator.scheduling.queue import Queue
from olive_operator.watch.cache import Cache
from olive_operator.watch.kept import JobRecord
from olive_operator.watch.kinds import JOB

KEY = ("ml", "travel")


class Server:
    """``takes``: whether it takes the status; it does not take one of an old version."""

    def __init__(self, takes: bool) -> None:
        self._takes, self._version = takes, 100

    async def create(self, manifest: Manifest) -> Manifest:
        self._version += 1
        made = {"uid": manifest["metadata"]["name"], "creationTimestamp": NOON.isoformat()}
        meta = {**made, **manifest["metadata"], "resourceVersion": str(self._version)}
        return {**manifest, "metadata": meta}

    async def refusals(self, namespace: str) -> dict[str, str]:
        return {}

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        return await self.create(manifest) if self._takes else None


@pytest.mark.parametrize(("takes", "told"), [(True, [(-1, 1)]), (False, [])])
async def test_of_a_status_that_was_written(takes: bool, told: list[tuple[int, int]]) -> None:
    found: list[tuple[int, int]] = []
    server: Any = Server(takes)
    cache, queue = Cache(), Queue[tuple[str, str]]()
    job = job_seen(spec())
    cache.put(JOB, KEY, 1, job.uid, JobRecord(job))
    reconciler = Reconciler(
        *(queue, cache, server, CONFIG, lambda: None, lambda: NOON),
        trace=lambda job, after, at: found.append(
            (job.status.observedGeneration, after.observedGeneration)
        ),
    )
    for _ in range(3):
        await reconciler.reconcile(KEY)
    assert found == told
