"""Reading a pod: why it does not start, and why an attempt failed, in a word and a sentence."""

import re
from dataclasses import dataclass

from olive_contract.failures import FailureClass
from olive_operator.api.seen import AttemptSeen, PodSeen
from olive_operator.api.spec import GPU


@dataclass(frozen=True)
class Pending:
    """Why a pod is not running. ``stalled``: only a person can change that."""

    reason: str
    message: str
    stalled: bool = False


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed. ``missing``: the artifact that has to be made again."""

    failure: FailureClass
    message: str
    missing: str = ""


def pending(pod: PodSeen | None, gpu: GPU | None) -> Pending:
    """Why the pod does not run yet. ``gpu`` is what it asks for, None for a CPU stage."""
    if pod is None:
        return Pending("PodNotCreated", "the pod is not created yet")
    if pod.unschedulable:
        return _unschedulable(pod.unschedulable, gpu)
    if pod.waiting in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        return Pending("ImagePull", f"the image cannot be pulled: {pod.waitingMessage}", True)
    if pod.waiting == "CreateContainerConfigError":
        if found := re.search(r'secret "([^"]+)" not found', pod.waitingMessage):
            return Pending(
                "SecretNotFound",
                f'secret "{found[1]}" does not exist in this namespace; create it with a key '
                '"token"; the stage starts by itself then',
                True,
            )
        if found := re.search(r"couldn't find key (\S+) in Secret (\S+)", pod.waitingMessage):
            return Pending(
                "SecretKeyNotFound",
                f'secret "{found[2].rpartition("/")[2]}" has no key "{found[1]}"; add it',
                True,
            )
        return Pending("ContainerConfig", pod.waitingMessage, True)
    if pod.waiting:
        return Pending(pod.waiting, pod.waitingMessage or "the container is being created")
    return Pending("Scheduling", "the pod waits for a node")


def _unschedulable(message: str, gpu: GPU | None) -> Pending:
    """The scheduler's message in a sentence for the person who wrote the job."""
    if found := re.search(r'persistentvolumeclaim "([^"]+)" not found', message):
        return Pending(
            "ClaimNotFound",
            f'claim "{found[1]}" does not exist in this namespace; create it, or name another',
            True,
        )
    if "unbound immediate PersistentVolumeClaims" in message:
        return Pending(
            "ClaimUnbound", "the claim is not bound to a volume; look at `kubectl get pvc`"
        )
    if gpu and "didn't match Pod's node affinity" in message and gpu.products:
        products = " or ".join(gpu.products)
        return Pending(
            "NoSuchGPU", f"no node offers {gpu.resource} with product {products}: {message}"
        )
    if gpu and f"Insufficient {gpu.resource}" in message:
        product = f" with product {' or '.join(gpu.products)}" if gpu.products else ""
        return Pending(
            "NoFreeGPU", f"no node offers {gpu.count} free {gpu.resource}{product}: {message}"
        )
    return Pending("Unschedulable", message)


def failure(attempt: AttemptSeen) -> Failure:
    """Why a finished attempt did not succeed.

    The pod's own report comes first; where it left none, what Kubernetes saw; a pod that is gone
    was disrupted.
    """
    pod = attempt.pod
    if pod is None:
        return Failure(FailureClass.EVICTED, "the pod was deleted before it had finished")
    report = pod.report
    if report and report.outcome == "Failed" and report.reason:
        if report.reason == FailureClass.CANCELLED and pod.disrupted:
            return Failure(_disruption(pod), f"{pod.disrupted}: {report.message}")
        return Failure(report.reason, report.message, report.missing)
    if pod.disrupted or pod.deleting:
        return Failure(_disruption(pod), pod.disrupted or "the pod was deleted")
    if pod.terminated == "OOMKilled":
        return Failure(FailureClass.OUT_OF_MEMORY, "the container used more memory than its limit")
    if pod.terminated:
        tail = pod.output.strip() or "the pod left neither report nor log"
        return Failure(
            FailureClass.STAGE_ERROR, f"exit code {pod.exitCode} ({pod.terminated}): {tail}"
        )
    return Failure(FailureClass.STAGE_ERROR, "the pod ended without saying why")


def _disruption(pod: PodSeen) -> FailureClass:
    preempted = pod.disrupted.startswith("PreemptionByScheduler")
    return FailureClass.PREEMPTED if preempted else FailureClass.EVICTED
