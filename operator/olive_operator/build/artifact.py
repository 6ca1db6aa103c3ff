"""The record that an artifact is whole in a store: what makes the next job's stage a hit."""

from dataclasses import asdict

from olive_contract.stage import Report
from olive_operator import labels, names
from olive_operator.api.seen import JobSeen
from olive_operator.api.stage import Stage
from olive_operator.build.meta import common
from olive_operator.build.pod import Manifest


def artifact(job: JobSeen, stage: Stage, report: Report, claim: str, gpu_seconds: int) -> Manifest:
    """The record of what a stage reports to have made. It has no owner: artifacts outlive jobs."""
    spec: Manifest = {
        "claim": claim,
        "key": report.key,
        "kind": stage.kind,
        "stage": stage.name,
        "job": job.name,
        "sizeBytes": report.sizeBytes,
        "seconds": report.seconds,
        "gpuSeconds": gpu_seconds,
    }
    if report.metrics:
        spec["metrics"] = dict(report.metrics)
    if report.published:
        spec["published"] = asdict(report.published)
    return {
        "apiVersion": labels.API_VERSION,
        "kind": "Artifact",
        "metadata": {
            "name": names.artifact(claim, report.key),
            "namespace": job.namespace,
            "labels": {**common("artifact"), labels.STAGE: stage.kind},
        },
        "spec": spec,
    }
