"""Carrying out a plan: in what order, what a failure keeps back, and what is known afterwards."""

import asyncio
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

import pytest
from builders import NOON, job_seen, spec

from olive_operator.api.seen import Ref
from olive_operator.api.status import Status
from olive_operator.client.apiserver import ApiError
from olive_operator.client.cluster import Manifest
from olive_operator.plan import Plan
from olive_operator.plan.status import Event
from olive_operator.reconcile.carry_out import Done, Objects, carry_out

JOB = job_seen(spec())


def manifest(kind: str, name: str) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": "ml"}}


class Recorded:
    """A cluster that notes what is asked of it, and refuses what it is told to."""

    def __init__(self, refuses: Mapping[str, ApiError] | None = None, stale: bool = False) -> None:
        self.asked: list[str] = []
        self._stale, self._refuses = stale, refuses or {}

    async def _answer(self, verb: str, body: Manifest) -> Manifest:
        name = body["metadata"]["name"]
        self.asked.append(f"{verb} {body['kind']} {name}")
        await asyncio.sleep(0)
        if name in self._refuses:
            raise self._refuses[name]
        return body

    async def create(self, body: Manifest) -> Manifest | None:
        if body["kind"] == "Event":
            self.asked.append(f"tell {body['reason']}")
            return body
        return await self._answer("create", body)

    async def apply(self, body: Manifest) -> Manifest:
        return await self._answer("apply", body)

    async def delete(self, namespace: str, ref: Ref, uid: str, version: int = 0) -> None:
        self.asked.append(f"delete {ref.kind} {ref.name} {uid} {version or ''}".strip())

    async def write_status(self, body: Manifest) -> Manifest | None:
        self.asked.append(f"status over {body['metadata']['resourceVersion']}")
        meta = {**body["metadata"], "resourceVersion": "8"}
        return None if self._stale else {**body, "metadata": meta}


PLAN = Plan(
    Status(phase="Running"),
    create=(manifest("Job", "a1"), manifest("Artifact", "r1"), manifest("Job", "a2")),
    apply=(manifest("ConfigMap", "c"), manifest("Deployment", "d"), manifest("Service", "s")),
    delete=(Ref("Job", "old"), Ref("Job", "unknown")),
    events=(Event("Normal", "Ready", "it is"),),
)


async def carried_out(
    cluster: Any, plan: Plan = PLAN, write: bool = True, known: Set[Ref] = frozenset()
) -> Done:
    there = {Ref("Job", "old"): "u9"}
    done = Done()
    what = Objects(JOB, 7, lambda ref: there.get(ref, ""), known)
    try:
        await carry_out(cluster, what, plan, write, NOON, done)
    except ApiError:
        cluster.asked.append("failed")
    return done


def names(done: Done) -> set[str]:
    return {body["metadata"]["name"] for body in done.objects}


async def test_records_then_the_status_then_attempts() -> None:
    cluster = Recorded()
    done = await carried_out(cluster)
    assert cluster.asked[:2] == ["create Artifact r1", "status over 7"]
    applied = [asked for asked in cluster.asked if asked.startswith("apply")]
    assert applied == ["apply ConfigMap c", "apply Deployment d", "apply Service s"]
    rest = {"create Job a1", "create Job a2", "delete Job old u9", "tell Ready"}
    assert set(cluster.asked[2:]) - set(applied) == rest
    assert names(done) == {"r1", "a1", "a2", "c", "d", "s"}
    assert done.version == 8


async def test_nothing_follows_a_status_that_comes_too_late() -> None:
    cluster = Recorded(stale=True)
    done = await carried_out(cluster)
    assert cluster.asked == ["create Artifact r1", "status over 7"]
    assert (done.stale, done.version, names(done)) == (True, 0, {"r1"})


async def test_without_a_status_there_is_no_news() -> None:
    cluster = Recorded()
    await carried_out(cluster, write=False)
    assert not [asked for asked in cluster.asked if asked.startswith(("status", "tell"))]
    assert "create Job a1" in cluster.asked


async def test_attempt_that_is_refused_is_told_of_and_keeps_nothing_back() -> None:
    cluster = Recorded({"a1": ApiError(403, '{"message": "exceeded quota"}')})
    done = await carried_out(cluster)
    assert "failed" not in cluster.asked
    assert done.refused == {Ref("Job", "a1"): "exceeded quota"}
    assert {"a2", "s"} <= names(done)


async def test_what_serves_is_not_applied_without_what_it_mounts() -> None:
    cluster = Recorded({"c": ApiError(422, "no")})
    done = await carried_out(cluster)
    assert "failed" not in cluster.asked
    assert done.refused == {Ref("ConfigMap", "c"): "no"}
    assert names(done) == {"r1", "a1", "a2"}


async def test_no_attempt_is_begun_without_its_claim() -> None:
    claim = manifest("PersistentVolumeClaim", "p")
    cluster = Recorded({"p": ApiError(403, "exceeded quota")})
    plan, ref = replace(PLAN, create=(claim, *PLAN.create)), Ref("PersistentVolumeClaim", "p")
    done = await carried_out(cluster, plan)
    assert done.refused == {ref: "exceeded quota"}
    assert (names(done), done.version) == ({"r1"}, 0), "the plan could not tell of it yet"
    done = await carried_out(cluster, plan, known={ref})
    assert (names(done), done.version) == ({"r1", "c", "d", "s"}, 8)


async def test_nothing_follows_a_record_that_is_refused() -> None:
    cluster = Recorded({"r1": ApiError(403, "exceeded quota")})
    done = await carried_out(cluster)
    assert cluster.asked == ["create Artifact r1", "failed"]
    assert not done.refused


@pytest.mark.parametrize(
    "refused",
    [{"a1": ApiError(503, "later")}, {"c": ApiError(503, "later")}],
    ids=["an attempt", "what serves"],
)
async def test_failure_ends_the_pass_but_not_what_goes_on_beside_it(
    refused: dict[str, ApiError],
) -> None:
    cluster = Recorded(refused)
    done = await carried_out(cluster)
    assert cluster.asked[-1] == "failed"
    assert {"r1", "a2"} <= names(done), "what was done is known all the same"
    assert done.version == 8
    assert not done.refused


async def test_job_that_has_expired_is_deleted_as_it_was_last_written() -> None:
    expired = Plan(Status(phase="Ready"), expired=True)
    cluster = Recorded()
    await carried_out(cluster, expired)
    assert cluster.asked == ["status over 7", "delete OptimizationJob travel u1 8"]
    cluster = Recorded()
    await carried_out(cluster, expired, write=False)
    assert cluster.asked == ["delete OptimizationJob travel u1 7"]
