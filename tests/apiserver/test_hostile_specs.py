"""Whatever the API server admits, the operator takes: it decodes it, plans it, and comes to an end.

``HOSTILE_SPECS`` says how many are tried, ``HOSTILE_SEED`` which ones.
"""

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

from builders import CONFIG, NOON, adapter, spec
from builders.cluster import Cluster
from builders.passes import Operator
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from olive_operator.api.seen import JobSeen, Seen
from olive_operator.api.status import Phase, Status
from olive_operator.client.apiserver import ApiError, ApiServer, Body
from olive_operator.client.connection import connect
from olive_operator.plan import plan
from olive_operator.watch import kinds

from . import jobs as written
from .hostile import mutated, spec_schema
from .operators import Jobs

COUNT = int(os.environ.get("HOSTILE_SPECS", "500"))
SEED = int(os.environ.get("HOSTILE_SEED", "1"))
AT_ONCE = 16
SMALL = 12
"""Stages of a job that is followed to its end, and attempts that the API server is asked about."""


async def test_operator_takes_what_the_api_server_admits(apiserver: Path, jobs: Jobs) -> None:
    draw, schema = random.Random(SEED), spec_schema()  # noqa: S311
    specs = (mutated(draw.choice(VALID), schema, draw) for _ in range(COUNT))
    loaded = kubernetes_client.Configuration()
    await kubernetes_config.load_kube_config(str(apiserver), client_configuration=loaded)
    async with connect(loaded) as api:
        trial = Trial(ApiServer(api), jobs.namespace)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(trial.go_on(specs))
    print(f"{trial.admitted} of {COUNT} admitted, {trial.ended} followed to their end")
    assert trial.wrong == []
    assert trial.admitted > COUNT / 4, "the specs say nothing if hardly one is admitted"


VALID = (
    written.FULL["spec"],
    spec(),
    spec(quantize=None, workflow=written.WORKFLOW, evaluate={"data": written.DATA}),
    spec(adapters=[adapter(f"a{n}") for n in range(64)]),
    spec(
        adapters=[{"name": "french", "source": "hf://a/b"}, adapter("travel")], retry={"limit": 0}
    ),
)


class Trial:
    """``wrong``: specs that were admitted, and what the operator then did."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server, self._namespace = server, namespace
        self.admitted = self.ended = 0
        self.wrong: list[str] = []

    async def go_on(self, specs: Any) -> None:
        for candidate in specs:
            if body := await self._admitted(candidate):
                self.admitted += 1
                try:
                    await self._take(body)
                except Exception as error:
                    self.wrong.append(
                        f"{type(error).__name__}: {error}\n{json.dumps(body['spec'])}"
                    )

    async def _admitted(self, candidate: Any) -> Body | None:
        """The job as it would be stored, None if it is refused."""
        path = kinds.JOBS.collection(self._namespace)
        job = {
            "apiVersion": "olive-operator.io/v1alpha1",
            "kind": "OptimizationJob",
            "metadata": {"name": "hostile"},
            "spec": candidate,
        }
        return await self._dry(path, job)

    async def _dry(self, path: str, manifest: Body) -> Body | None:
        try:
            return await self._server.request("POST", path, manifest, query=[("dryRun", "All")])
        except ApiError as error:
            if error.status not in (400, 422):
                raise
            return None

    async def _take(self, body: Body) -> None:
        record = kinds.job({**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})
        assert record.seen is not None, record.mistake
        job = record.seen
        found = plan(Seen(job), CONFIG, NOON)
        attempts = [m for m in found.create if m["kind"] == "Job"]
        for manifest in attempts[:SMALL]:
            there = await self._dry(f"/apis/batch/v1/namespaces/{self._namespace}/jobs", manifest)
            assert there is not None, f"its attempt is refused: {json.dumps(manifest)}"
        if len(found.status.stages) <= SMALL:
            comes_to_its_end(job)
            self.ended += 1


def comes_to_its_end(job: JobSeen) -> None:
    """In a cluster in memory, where everything goes well."""
    cluster = Cluster()
    operator = Operator(cluster)
    cluster.claim(job.spec.storage.claim or "olive-store", "ReadWriteMany")
    cluster.bring(job)
    for _ in range(100):
        for name in list(cluster.poked):
            for _ in operator.work(name):
                pass
        under_way = cluster.under_way()
        for attempt in under_way:
            if attempt.suspended:
                cluster.suspend(attempt.name, False)
            elif attempt.begun:
                cluster.finish(attempt.name)
            else:
                cluster.start(attempt.name)
        cluster.roll_out(job.name)
        if not cluster.poked and not operator.asks() and not cluster.under_way():
            break
        cluster.poke(("ml", name) for name in operator.asks())
    else:
        raise AssertionError(f"it comes to no end: {cluster.jobs[job.name].status}")
    if job.name in cluster.jobs:
        status = cluster.jobs[job.name].status
        assert status.phase in _ends(job, status), f"it stands still: {status}"
    else:
        assert job.spec.ttlAfterFinished, "it is gone, and nobody wanted that"


def _ends(job: JobSeen, status: Status) -> set[str]:
    """The phases that a job may end in where every stage succeeds: of those that fail, a gate."""
    if job.spec.suspend:
        return {Phase.SUSPENDED}
    missed = any(stage.missed_gate for stage in status.stages)
    gated = job.spec.evaluate is not None and bool(job.spec.evaluate.gates)
    return {Phase.FAILED} if missed and gated else {Phase.READY}
