"""Metadata of children: name, labels, and the owner whose deletion takes them along."""

from collections.abc import Mapping
from typing import Any

from olive_operator import labels
from olive_operator.api.seen import JobSeen


def metadata(
    job: JobSeen,
    name: str,
    component: str,
    more_labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Metadata of a child that goes with the job. No finalizer: deletion needs no operator."""
    meta: dict[str, Any] = {
        "name": name,
        "namespace": job.namespace,
        "labels": {**common(component), labels.JOB: job.name, **(more_labels or {})},
        "ownerReferences": [
            {
                "apiVersion": labels.API_VERSION,
                "kind": "OptimizationJob",
                "name": job.name,
                "uid": job.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if annotations:
        meta["annotations"] = dict(annotations)
    return meta


def serving_selector(job: JobSeen) -> dict[str, str]:
    """The labels by which a job's serving pods are found."""
    return {labels.JOB: job.name, labels.COMPONENT: "serving"}


def common(component: str) -> dict[str, str]:
    """The labels of everything that the operator makes."""
    return {
        "app.kubernetes.io/name": "olive",
        labels.MANAGED_BY: labels.FIELD_MANAGER,
        labels.COMPONENT: component,
    }
