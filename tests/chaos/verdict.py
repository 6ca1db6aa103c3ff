"""What the controller promises, held against what is there when all is calm again."""

from collections.abc import Iterator
from typing import Any

from apiserver.operators import Jobs

from chaos.monkey import names
from chaos.nodes import Volume


def unfinished(jobs: Jobs) -> list[str]:
    """Jobs that are not where their spec wants them, and where they are."""
    found = []
    for name in names(jobs):
        job = jobs.get(name)
        status = job.get("status", {})
        newest = status.get("observedGeneration") == job["metadata"]["generation"]
        ends = {"Ready", "Suspended"} if job["spec"].get("suspend") else {"Ready"}
        if not newest or status.get("phase") not in ends:
            stuck = [_of(s) for s in status.get("stages", []) if s["state"] != "Succeeded"]
            found.append(f"{name}: {status.get('phase')} {stuck}")
    return found


def violations(jobs: Jobs, volume: Volume) -> list[str]:
    """Where status, records, attempts and the volume do not agree, at rest."""
    return [*_records(jobs, volume), *_status(jobs, volume), *_attempts(jobs)]


def doubled(volume: Volume) -> list[str]:
    """What was made more than once, or by two at a time."""
    return [f"{key} {n} times" for key, n in volume.built.items() if n > 1] + volume.overlaps


def _records(jobs: Jobs, volume: Volume) -> Iterator[str]:
    for record in jobs.artifacts():
        if (record["spec"]["claim"], record["spec"]["key"]) not in volume.whole:
            yield f"record {record['metadata']['name']}: there is no such artifact"


def _status(jobs: Jobs, volume: Volume) -> Iterator[str]:
    recorded = {a["spec"]["key"] for a in jobs.artifacts()}
    for name in names(jobs):
        status = jobs.status(name)
        if status.get("phase") != "Ready":
            continue
        for stage in status["stages"]:
            is_there = (status["claim"], stage["key"]) in volume.whole
            if not is_there:
                yield f"{name} {stage['name']}: {stage['state']}, and the volume has nothing of it"
            product = stage["name"] == "export" or stage["name"].startswith("adapter/")
            if product and stage["reason"] == "Built" and stage["key"] not in recorded:
                yield f"{name} {stage['name']}: made, and not recorded"


def _attempts(jobs: Jobs) -> Iterator[str]:
    uids = {jobs.get(name)["metadata"]["uid"] for name in names(jobs)}
    for attempt in jobs.batch.list_namespaced_job(jobs.namespace).items:
        owner = attempt.metadata.owner_references[0].uid
        if owner not in uids:
            meta = attempt.metadata
            since = f"{meta.creation_timestamp}, to be deleted since {meta.deletion_timestamp}"
            yield f"attempt {meta.name} of {since}: its job is gone"
        ended = {c.type for c in attempt.status.conditions or []} & {"Complete", "Failed"}
        if not ended and not attempt.metadata.deletion_timestamp:
            yield f"attempt {attempt.metadata.name}: under way, and every job is at its end"


def _of(stage: dict[str, Any]) -> str:
    words = (stage["name"], stage["state"], stage.get("reason", ""), stage.get("message", ""))
    return " ".join(words)[:200]
