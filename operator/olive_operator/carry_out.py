"""Carrying out a plan: the only place where the operator changes anything.

The order makes every crash harmless: records of what is there, then the status with its counts of
attempts, then the attempts themselves under names that follow from those counts. What does not
depend on each other goes side by side. The status is written over the version that was planned
from, and nothing follows if that is no longer the newest.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from olive_operator import labels
from olive_operator.api.seen import JobSeen, Ref
from olive_operator.apiserver import ApiError
from olive_operator.cluster import Cluster, Manifest
from olive_operator.plan import Plan
from olive_operator.plan.clock import text
from olive_operator.plan.status import Event


@dataclass(frozen=True)
class Objects:
    """What a plan changes: the job, at which version, and the uid of an object by its Ref."""

    job: JobSeen
    version: int
    uid: Callable[[Ref], str]


@dataclass
class Done:
    """What came of it.

    ``objects``: those that were written, as the API server then has them. ``stale``: the job was no
    longer what was planned from. ``refused``: why an attempt was not taken, by its name.
    """

    objects: list[Manifest] = field(default_factory=list)
    stale: bool = False
    refused: dict[str, str] = field(default_factory=dict)


async def carry_out(
    cluster: Cluster, what: Objects, plan: Plan, write: bool, now: datetime
) -> Done:
    """Do what the plan says; ``write`` the status, or leave it as it is. ApiError if a part failed.

    An attempt that the API server refuses is no failure of the pass: the job has to tell of it.
    """
    done, job, version = Done(), what.job, what.version
    attempts = [m for m in plan.create if m["kind"] == "Job"]
    done.objects += await _all(_create(cluster, m) for m in plan.create if m["kind"] != "Job")
    if write:
        written = await cluster.write_status(_status(what, plan))
        if written is None:
            done.stale = True
            return done
        done.objects.append(written)
        version = int(written["metadata"]["resourceVersion"])
    events = plan.events if write else ()
    if plan.expired:
        await cluster.delete(job.namespace, Ref("OptimizationJob", job.name), job.uid, version)
    done.objects += await _all(
        (
            _apply(cluster, plan.apply),
            *(_begin(cluster, manifest, done.refused) for manifest in attempts),
            *(_delete(cluster, what, ref) for ref in plan.delete),
            *(_tell(cluster, _event(job, event, now)) for event in events),
        )
    )
    return done


async def _all(awaited: Iterable[Awaitable[list[Manifest]]]) -> list[Manifest]:
    """What all of them return, side by side; one that fails keeps none of the others back."""
    objects: list[Manifest] = []
    failures: list[BaseException] = []
    for found in await asyncio.gather(*awaited, return_exceptions=True):
        if isinstance(found, BaseException):
            failures.append(found)
        else:
            objects += found
    if failures:
        raise failures[0]
    return objects


async def _create(cluster: Cluster, manifest: Manifest) -> list[Manifest]:
    created = await cluster.create(manifest)
    return [created] if created else []


async def _apply(cluster: Cluster, manifests: Iterable[Manifest]) -> list[Manifest]:
    """In their order: pods are not to look for what comes a moment later."""
    return [await cluster.apply(manifest) for manifest in manifests]


async def _begin(cluster: Cluster, manifest: Manifest, refused: dict[str, str]) -> list[Manifest]:
    try:
        return await _create(cluster, manifest)
    except ApiError as error:
        if error.passing:
            raise
        refused[manifest["metadata"]["name"]] = error.message
        return []


async def _delete(cluster: Cluster, what: Objects, ref: Ref) -> list[Manifest]:
    if uid := what.uid(ref):
        await cluster.delete(what.job.namespace, ref, uid)
    return []


async def _tell(cluster: Cluster, event: Manifest) -> list[Manifest]:
    """An event is news, not state: it is not kept."""
    await cluster.create(event)
    return []


def _status(what: Objects, plan: Plan) -> Manifest:
    job = what.job
    return {
        "apiVersion": labels.API_VERSION,
        "kind": "OptimizationJob",
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "uid": job.uid,
            "resourceVersion": str(what.version),
        },
        "status": plan.status.to_body(),
    }


def _event(job: JobSeen, event: Event, now: datetime) -> dict[str, Any]:
    """A core/v1 Event under a name that is the same for the same news within a minute."""
    unique = f"{job.uid} {event.reason} {event.message} {now:%Y%m%d%H%M}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{job.name}.{hashlib.sha256(unique.encode()).hexdigest()[:16]}",
            "namespace": job.namespace,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1024],
        "firstTimestamp": text(now),
        "lastTimestamp": text(now),
        "count": 1,
        "source": {"component": labels.FIELD_MANAGER},
        "reportingComponent": labels.FIELD_MANAGER,
        "reportingInstance": labels.FIELD_MANAGER,
        "involvedObject": {
            "apiVersion": labels.API_VERSION,
            "kind": "OptimizationJob",
            "name": job.name,
            "namespace": job.namespace,
            "uid": job.uid,
        },
    }
