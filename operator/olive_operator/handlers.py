"""Every kopf decorator: indexes that keep trimmed records, and pokes of the queue. Nothing else."""

from typing import Any

import kopf

from olive_operator import labels, names, records
from olive_operator.api.seen import Ref
from olive_operator.observe import Records
from olive_operator.queue import Queue
from olive_operator.records import JobKey, ServingPod

OURS = {labels.MANAGED_BY: labels.FIELD_MANAGER}


def register(registry: kopf.OperatorRegistry, queue: Queue[JobKey]) -> None:
    """Have kopf keep the indexes, and poke a job whenever it or a child of it changes."""

    @kopf.index(labels.GROUP, labels.VERSION, "optimizationjobs", id="jobs", registry=registry)
    async def jobs(body: kopf.Body, **_: Any) -> Any:
        return {_key(body): records.trimmed_job(body)}

    @kopf.index(labels.GROUP, labels.VERSION, "artifacts", id="artifacts", registry=registry)
    async def artifacts(body: kopf.Body, **_: Any) -> Any:
        record = records.artifact(body)
        return {(body["metadata"]["namespace"], record.claim): record}

    @kopf.index("batch", "v1", "jobs", labels=OURS, id="attempts", registry=registry)
    async def attempts(body: kopf.Body, **_: Any) -> Any:
        return {records.job_of(body): records.attempt(body)}

    @kopf.index(
        "", "v1", "pods", labels={**OURS, labels.COMPONENT: "stage"}, id="pods", registry=registry
    )
    async def pods(body: kopf.Body, **_: Any) -> Any:
        return {records.job_of(body): (records.attempt_of(body), records.pod(body))}

    @kopf.index(
        "",
        "v1",
        "pods",
        labels={**OURS, labels.COMPONENT: "serving"},
        id="serving_pods",
        registry=registry,
    )
    async def serving_pods(body: kopf.Body, **_: Any) -> Any:
        record = records.serving_pod(body)
        return {records.job_of(body): record} if record else None

    @kopf.index("apps", "v1", "deployments", labels=OURS, id="deployments", registry=registry)
    async def deployments(body: kopf.Body, **_: Any) -> Any:
        return {records.job_of(body): records.deployment(body)}

    @kopf.index(
        "apps", "v1", "deployments", labels=OURS, id="applied_deployments", registry=registry
    )
    async def applied_deployments(body: kopf.Body, **_: Any) -> Any:
        return {records.job_of(body): records.applied(body, "Deployment")}

    @kopf.index("", "v1", "services", labels=OURS, id="applied_services", registry=registry)
    async def applied_services(body: kopf.Body, **_: Any) -> Any:
        return {records.job_of(body): records.applied(body, "Service")}

    @kopf.index("", "v1", "configmaps", labels=OURS, id="applied_configmaps", registry=registry)
    async def applied_configmaps(body: kopf.Body, **_: Any) -> Any:
        return {records.job_of(body): records.applied(body, "ConfigMap")}

    @kopf.index("", "v1", "persistentvolumeclaims", id="claims", registry=registry)
    async def claims(body: kopf.Body, **_: Any) -> Any:
        return {body["metadata"]["namespace"]: body["metadata"]["name"]}

    @kopf.on.event(labels.GROUP, labels.VERSION, "optimizationjobs", registry=registry)
    async def poke_job(body: kopf.Body, **_: Any) -> None:
        queue.add(_key(body))

    @kopf.on.event(labels.GROUP, labels.VERSION, "artifacts", registry=registry)
    @kopf.on.event("", "v1", "persistentvolumeclaims", registry=registry)
    async def poke_namespace(body: kopf.Body, **views: Any) -> None:
        namespace = body["metadata"]["namespace"]
        for key in list(views["jobs"]):
            if key[0] == namespace:
                queue.add(key)

    @kopf.on.event("batch", "v1", "jobs", labels=OURS, registry=registry)
    @kopf.on.event("", "v1", "pods", labels=OURS, registry=registry)
    @kopf.on.event("apps", "v1", "deployments", labels=OURS, registry=registry)
    @kopf.on.event("", "v1", "services", labels=OURS, registry=registry)
    @kopf.on.event("", "v1", "configmaps", labels=OURS, registry=registry)
    async def poke_owner(body: kopf.Body, **_: Any) -> None:
        queue.add(records.job_of(body))


def _key(body: kopf.Body) -> JobKey:
    return body["metadata"]["namespace"], body["metadata"]["name"]


class KopfIndex:
    """The indexes above, as the reconciler asks them. ``views`` are kopf's live views by name."""

    def __init__(self, views: dict[str, Any]) -> None:
        self._views = views

    def records(self, key: JobKey) -> Records | None:
        found = list(self._get("jobs", key))
        if not found:
            return None
        job = found[0]
        claim = (job["spec"].get("storage") or {}).get("claim")
        applied: list[tuple[Ref, str]] = [
            record
            for kind in ("deployments", "services", "configmaps")
            for record in self._get(f"applied_{kind}", key)
        ]
        return Records(
            job=job,
            attempts=self._get("attempts", key),
            pods=self._get("pods", key),
            artifacts=self._get("artifacts", (key[0], claim or names.DEFAULT_CLAIM)),
            applied=applied,
            deployments=self._get("deployments", key),
            claims=self._get("claims", key[0]),
        )

    def serving_pods(self, key: JobKey) -> list[ServingPod]:
        return self._get("serving_pods", key)

    def _get(self, view: str, key: Any) -> list[Any]:
        return list(self._views[view].get(key, ()))
