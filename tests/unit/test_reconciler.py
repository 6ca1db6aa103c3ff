"""The loop over jobs, against an API server in memory: what it comes to when nothing goes on."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import CONFIG, NOON, World, job_seen, spec

from olive_operator.api.seen import Ref
from olive_operator.api.status import State
from olive_operator.api.store import StoredSeen
from olive_operator.client.apiserver import ApiError
from olive_operator.client.cluster import Manifest
from olive_operator.reconcile.orphans import PATIENCE
from olive_operator.reconcile.reconciler import Reconciler
from olive_operator.scheduling.queue import Queue
from olive_operator.watch.cache import Cache, JobKey
from olive_operator.watch.kept import ArtifactRecord, ChildRecord, JobRecord
from olive_operator.watch.kinds import JOB

ENOUGH = 50
"""Passes after which what still goes on at once goes on for ever."""


class Picky:
    """It takes everything but these kinds, and makes no pod of a Job that ``said`` names.

    ``unheard``: the answer to the write of a status is lost, and tried again it is a conflict.
    """

    def __init__(self, *refuses: str) -> None:
        self.asked: Counter[str] = Counter()
        self.news: asyncio.Queue[str] = asyncio.Queue()
        self.said: dict[str, str] = {}
        self.unheard = False
        self._refuses, self._version = refuses, 100

    def _take(self, manifest: Manifest) -> Manifest:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        self.asked[f"{kind} {name}"] += 1
        self.news.put_nowait(f"{kind} {name}")
        if kind in self._refuses:
            raise ApiError(403, "exceeded quota")
        self._version += 1
        made = {"uid": f"uid of {name}", "creationTimestamp": NOON.isoformat(), "generation": 1}
        meta = {**made, **manifest["metadata"]}
        return {**manifest, "metadata": {**meta, "resourceVersion": str(self._version)}}

    async def create(self, manifest: Manifest) -> Manifest | None:
        return self._take(manifest)

    async def apply(self, manifest: Manifest) -> Manifest:
        return self._take(manifest)

    async def refusals(self, namespace: str) -> dict[str, str]:
        return self.said

    async def local_queue(self, namespace: str, name: str) -> str:
        return ""

    async def delete(self, *_: Any) -> None:
        pass

    async def write_status(self, manifest: Manifest) -> Manifest | None:
        return None if self.unheard else self._take(manifest)


class Story:
    """Jobs of the same spec but for some sections, looked at as often as they are due at once."""

    def __init__(self, cluster: Picky, *names: str, **sections: Any) -> None:
        self.seconds = 0.0
        self.queue: Queue[JobKey] = Queue(lambda: self.seconds)
        self.cache, self.passes, self.now = Cache(), 0, NOON
        unchecked: Any = cluster
        self.reconciler = Reconciler(
            self.queue, self.cache, unchecked, CONFIG, lambda: None, lambda: self.now
        )
        for version, name in enumerate(names, 1):
            body = spec(**sections.get(name, {}))
            job = job_seen(body, name=name, uid=f"uid of {name}")
            self.cache.put(JOB, (job.namespace, name), version, job.uid, JobRecord(job))
            self.queue.add((job.namespace, name))

    async def settle(self) -> None:
        """Until nothing is due at once."""
        while len(self.queue) and self.passes < ENOUGH:
            got = await self.queue.get()
            assert got
            await self.reconciler.reconcile(got[0])
            self.queue.done(got[0])
            self.passes += 1

    def reasons(self) -> set[str]:
        """Why the jobs are Stalled, as far as they are."""
        found = [c for job in self.reconciler.planned.values() for c in job.status.conditions]
        return {c.reason for c in found if (c.type, c.status) == ("Stalled", "True")}


@pytest.mark.parametrize("kind", ["Job", "PersistentVolumeClaim"])
async def test_jobs_that_are_refused_the_same_do_not_have_each_other_try_for_ever(
    kind: str,
) -> None:
    story = Story(Picky(kind), "travel", "food", "music")
    await story.settle()
    assert story.passes < ENOUGH
    assert story.reasons() == {"Refused"}


async def test_what_was_refused_is_told_of_before_anything_else_is() -> None:
    cluster = Picky("PersistentVolumeClaim")
    story = Story(cluster, "travel")
    await story.settle()
    kinds = Counter(name.split()[0] for name in cluster.asked.elements())
    assert kinds == {"PersistentVolumeClaim": 2, "OptimizationJob": 1, "Event": 1}
    assert story.reasons() == {"Refused"}


async def test_jobs_that_wait_are_told_when_the_pod_they_wait_for_is_refused() -> None:
    cluster = Picky()
    story = Story(cluster, "travel", "food", food={"priorityClassName": "high"})
    await story.settle()
    made = [name.removeprefix("Job ") for name in cluster.asked if name.startswith("Job ")]
    assert {name.split("-")[0] for name in made} == {"travel"}
    cluster.said = dict.fromkeys(made, "exceeded quota: pods")
    story.now += timedelta(seconds=31)
    story.queue.add(("ml", "travel"))
    working = asyncio.create_task(story.reconciler.run())
    async with asyncio.timeout(10):
        while not (await cluster.news.get()).startswith("Job food-"):
            pass
    story.reconciler.stop()
    await working


async def test_job_is_looked_at_again_when_the_last_of_its_serving_is_applied() -> None:
    """Its status says that it is still to be; no watch may have any news of that."""
    world = World(adapters=[], evaluate=None).settle().finish("fetch/model", "quantize", "export")
    job, story = replace(world.seen.job, namespace="ml", name="travel"), Story(Picky())
    key, uid = (job.namespace, job.name), job.uid
    story.cache.put(JOB, key, 1, uid, JobRecord(job))
    for seen in world.records:
        record = ArtifactRecord(seen, StoredSeen(seen.name, seen.key, 5, NOON))
        story.cache.put("Artifact", ("ml", seen.name), 1, seen.name, record)
    await story.reconciler.reconcile(key)
    assert len(story.queue) == 1
    await story.settle()
    assert story.passes == 1


async def test_others_are_told_of_an_end_that_only_the_watch_has_told_of() -> None:
    cluster, key = Picky(), ("ml", "travel")
    story = Story(cluster, "travel", "food")
    await story.settle()
    cluster.unheard = True
    known = story.cache.get(JOB, key)
    assert known
    job = known.record.seen
    [fetch, *rest] = job.status.stages
    ended = replace(fetch, state=State.FAILED, endedAttempt=fetch.attempt, retryAt="")
    job = replace(job, status=replace(job.status, stages=(ended, *rest)))
    story.cache.put(JOB, key, 1000, job.uid, JobRecord(job))
    await story.reconciler.reconcile(key)
    async with asyncio.timeout(10):
        got = await story.queue.get()
    assert got
    assert got[0] == ("ml", "food")


async def test_what_a_job_that_is_gone_has_left_is_looked_at_again_until_it_is_gone() -> None:
    story = Story(Picky())
    key = ("ml", "travel")
    child = ChildRecord(key, "uid of travel", Ref("ConfigMap", "travel"), "hash")
    for job in story.cache.put("ConfigMap", key, 1, "uid of the map", child):
        story.queue.add(job)
    await story.settle()
    assert len(story.queue) == 0
    story.seconds += PATIENCE + 1
    async with asyncio.timeout(10):
        got = await story.queue.get()
    assert got
    assert got[0] == key
