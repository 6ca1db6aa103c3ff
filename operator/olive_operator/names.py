"""The names of children: functions of the job, the stage, what it is for, and the attempt."""

from collections.abc import Iterable
from typing import Final

from olive_contract.keys import digest

DEFAULT_CLAIM: Final = "olive-store"
_JOB_NAME_LIMIT: Final = 63  # a batch/v1 Job's name becomes a label of its pod


def attempt(job: str, uid: str, stage: str, address: str, claim: str, number: int) -> str:
    """The batch/v1 Job of one attempt; the same attempt always has the same name."""
    tail = f"-{digest([uid, stage, address, claim])[:8]}-{number}"
    head = f"{job}-{stage.replace('/', '-').lower()}"[: _JOB_NAME_LIMIT - len(tail)]
    return head.rstrip("-") + tail


def artifact(claim: str, key: str) -> str:
    """The record of an artifact in a claim's store."""
    return f"{key[:20]}-{digest(claim)[:6]}"


def sweep(claim: str, keys: Iterable[str]) -> str:
    """The batch/v1 Job that removes these artifacts from a claim's store."""
    return f"olive-sweep-{digest([claim, sorted(keys)])[:12]}"


def serving(job: str) -> str:
    """The serving's Deployment, its Service, and what else goes with them."""
    return f"{job}-serving"


def serving_config(job: str, model: str) -> str:
    """The ConfigMap with what to serve beside one model; pods of another model have their own."""
    return f"{job}-serving-{model[:8]}"


def serving_url(job: str, namespace: str) -> str:
    """The base of the OpenAI-compatible API inside the cluster."""
    return f"http://{serving(job)}.{namespace}.svc/v1"
