"""Carrying out the plan of a job: the only place where the operator changes anything of a job's.

The order makes every crash harmless: records of what is there, then the status with its counts of
attempts, then the attempts themselves under names that follow from those counts. What does not
depend on each other goes side by side. The status is written over the version that was planned
from, and nothing follows if that is no longer the newest.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from olive_operator import labels
from olive_operator.api.seen import JobSeen, Ref
from olive_operator.client.apiserver import ApiError
from olive_operator.client.cluster import Cluster, Manifest
from olive_operator.plan import Plan
from olive_operator.plan.clock import text
from olive_operator.plan.status import Event

CONFLICT: Final = 409
"""Somebody else has changed the object meanwhile, several times."""


@dataclass(frozen=True)
class Objects:
    """What a plan changes: the job, at which version, and the uid of an object by its Ref.

    ``refused``: what the plan knew to be refused.
    """

    job: JobSeen
    version: int
    uid: Callable[[Ref], str]
    refused: Set[Ref] = frozenset()


@dataclass
class Done:
    """What has come of it so far, whatever comes of the rest.

    ``objects``: those that were written, as the API server then has them. ``version``: the job's,
    with the status that was planned; 0 if that was not written. ``stale``: the job was no longer
    what was planned from. ``refused``: why an object was not taken.
    """

    objects: list[Manifest] = field(default_factory=list)
    version: int = 0
    stale: bool = False
    refused: dict[Ref, str] = field(default_factory=dict)


async def carry_out(
    cluster: Cluster, what: Objects, plan: Plan, write: bool, now: datetime, done: Done
) -> None:
    """Do what the plan says; ``write`` the status, or leave it as it is. ApiError if a part failed.

    That the API server refuses a child is no failure of the pass: the job has to tell of it. A
    record that it refuses is one: the status must not tell of what no record tells of. Where a
    claim is refused, no attempt is begun, and of what the plan did not know nothing is told yet.
    """
    job, version = what.job, what.version
    attempts = [m for m in plan.create if m["kind"] == "Job"]
    await _all(_create(cluster, m, done) for m in plan.create if m["kind"] != "Job")
    if done.refused.keys() - what.refused:
        return
    if write:
        written = await cluster.write_status(_status(what, plan))
        if written is None:
            done.stale = True
            return
        done.version = version = int(written["metadata"]["resourceVersion"])
    if done.refused:
        attempts = []  # without their claim they would only wait
    events = plan.events if write else ()
    if plan.expired:
        await cluster.delete(job.namespace, Ref("OptimizationJob", job.name), job.uid, version)
    await _all(
        (
            _apply(cluster, plan.apply, done),
            *(_create(cluster, manifest, done) for manifest in attempts),
            *(_delete(cluster, what, ref) for ref in plan.delete),
            *(cluster.create(_event(job, event, now)) for event in events),
        )
    )


async def tell_refusal(cluster: Cluster, job: JobSeen, error: ApiError, now: datetime) -> None:
    """An Event for what the API server refuses a pass: it may be the status that is refused."""
    event = Event("Warning", "Refused", f"the API server refused a change: {error.message}")
    with suppress(ApiError):
        await cluster.create(_event(job, event, now))


async def _all(awaited: Iterable[Awaitable[object]]) -> None:
    """Side by side; one that fails keeps none of the others back."""
    for found in await asyncio.gather(*awaited, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found


async def _create(cluster: Cluster, manifest: Manifest, done: Done) -> None:
    try:
        created = await cluster.create(manifest)
    except ApiError as error:
        if manifest["kind"] == "Artifact":
            raise
        _refused(manifest, error, done)
    else:
        done.objects.extend([created] if created else [])


async def _apply(cluster: Cluster, manifests: Iterable[Manifest], done: Done) -> None:
    """In their order: pods are not to look for what comes a moment later."""
    for manifest in manifests:
        try:
            done.objects.append(await cluster.apply(manifest))
        except ApiError as error:
            _refused(manifest, error, done)
            break


def _refused(manifest: Manifest, error: ApiError, done: Done) -> None:
    if error.passing or error.status == CONFLICT:
        raise error
    done.refused[Ref.of(manifest)] = error.message


async def _delete(cluster: Cluster, what: Objects, ref: Ref) -> None:
    if uid := what.uid(ref):
        await cluster.delete(what.job.namespace, ref, uid)


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
    same = f"{job.uid} {event.reason} {event.message} {now:%Y%m%d%H%M}"
    unique = same.encode(errors="replace")  # a pod's message may have half a character
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{job.name}.{hashlib.sha256(unique).hexdigest()[:16]}",
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
