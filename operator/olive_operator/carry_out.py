"""Carrying out a plan: the only place where the operator changes anything.

The order makes every crash harmless: records of what is there, then the status with its counts of
attempts, then the attempts themselves under names that follow from those counts.
"""

import hashlib
from datetime import datetime
from typing import Any

from olive_operator import labels
from olive_operator.api.seen import JobSeen
from olive_operator.cluster import Cluster
from olive_operator.plan import Plan
from olive_operator.plan.clock import text
from olive_operator.plan.status import Event


async def carry_out(cluster: Cluster, job: JobSeen, plan: Plan, now: datetime) -> Any:
    """Do what the plan says; the job as the API server then has it, None if it was not written."""
    attempts = [m for m in plan.create if m["kind"] == "Job"]
    for manifest in plan.create:
        if manifest["kind"] != "Job":
            await cluster.create(manifest)
    written = None
    if plan.status.to_body() != job.status.to_body():
        written = await cluster.write_status(_status(job, plan))
    for manifest in plan.apply:
        await cluster.apply(manifest)
    for manifest in attempts:
        await cluster.create(manifest)
    for ref in plan.delete:
        await cluster.delete(job.namespace, ref)
    for event in plan.events:
        await cluster.create(_event(job, event, now))
    return written


def _status(job: JobSeen, plan: Plan) -> dict[str, Any]:
    return {
        "apiVersion": labels.API_VERSION,
        "kind": "OptimizationJob",
        "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
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
