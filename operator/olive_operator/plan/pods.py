"""Reading a pod: why it does not start, and why an attempt failed, in a word and a sentence."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from olive_contract.failures import FailureClass
from olive_operator.api.seen import KEPT_OFF, AttemptSeen, Holder, PodSeen
from olive_operator.api.spec import GPU

REFUSED: Final = "Refused"
IMAGE_NEVER: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
"""Reasons for which no later try will find the image."""
IMAGE_WAITS: Final = IMAGE_NEVER | {"ErrImagePull", "ImagePullBackOff"}

VOLUME_IN_USE: Final = frozenset({"VolumeBusy", "VolumeHeld"})

POD_REFUSED: Final = "PodRefused"

STALLED: Final = frozenset(
    {
        "ClaimNotFound",
        "ContainerConfig",
        "ImagePull",
        "NotBegun",
        POD_REFUSED,
        "QueueUnavailable",
        REFUSED,
        "SecretKeyNotFound",
        "SecretNotFound",
        "VolumeHeld",
    }
)
"""Reasons for which a job waits for something that only a person can bring."""


@dataclass(frozen=True)
class Pending:
    """Why a pod is not running."""

    reason: str
    message: str

    @property
    def stalled(self) -> bool:
        """Only a person can change that."""
        return self.reason in STALLED


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
    if pod.waiting in IMAGE_WAITS:
        return Pending("ImagePull", f"the image cannot be pulled: {pod.waitingMessage}")
    if pod.waiting == "CreateContainerConfigError":
        if found := re.search(r'secret "([^"]+)" not found', pod.waitingMessage):
            return Pending(
                "SecretNotFound",
                f'secret "{found[1]}" does not exist in this namespace; create it with a key '
                '"token"; the stage starts by itself then',
            )
        if found := re.search(r"couldn't find key (\S+) in Secret (\S+)", pod.waitingMessage):
            return Pending(
                "SecretKeyNotFound",
                f'secret "{found[2].rpartition("/")[2]}" has no key "{found[1]}"; add it',
            )
        return Pending("ContainerConfig", pod.waitingMessage)
    if pod.waiting or pod.node:
        why = pod.waitingMessage or "the container is being created"
        return Pending(pod.waiting or "ContainerCreating", why)
    return Pending("Scheduling", "the pod waits for a node")


def queued(queue: str) -> Pending:
    """The attempt is held back by a Kueue queue."""
    return Pending("WaitingForQuota", f"waiting for quota in {queue}")


def no_queue(why: str | None) -> Pending | None:
    """Why no attempt may wait in the queue, if none may. ``why`` as in Seen.queue."""
    if why is None:
        return Pending("Scheduling", "its queue is being looked up")
    return Pending("QueueUnavailable", why) if why else None


def refused(sentence: str) -> Pending:
    """The API server did not take the attempt; it is asked again."""
    return Pending(REFUSED, f"the API server refused the attempt: {sentence}")


def not_created(warning: str) -> Pending:
    """The attempt is there, but its pod cannot be made."""
    return Pending(POD_REFUSED, f"the pod cannot be created: {warning}")


def not_begun(pod: PodSeen, since: str) -> Pending:
    """The pod has had a node for so long, and its container does not begin there."""
    why, events = pending(pod, None), f"--field-selector involvedObject.name={pod.name}"
    return Pending(
        "NotBegun",
        f"the pod has been on node {pod.node} for {since} and has not begun "
        f"({why.reason}: {why.message}); read `kubectl get events {events}`",
    )


def of_volume(found: Pending, claim: str, holders: Sequence[Holder]) -> Pending:
    """What it means that the pod has to be where its claim is mounted, if that is the reason."""
    if found.reason != "VolumeElsewhere":
        return found
    others = [h for h in holders if h.node]
    where = ", ".join(f"{h.pod} on {h.node}" for h in others[:3]) or "another pod"
    what = f'claim "{claim}" is ReadWriteOnce and in use by {where}'
    if any(h.component == "serving" for h in others):
        return Pending(
            "VolumeHeld",
            f"{what}, where this pod does not fit, and a serving does not end; use a claim that is "
            "ReadWriteMany (spec.storage), or set serve.replicas to 0 until this stage is done",
        )
    return Pending(
        "VolumeBusy", f"{what}; this pod needs another node and starts when that is over"
    )


def _unschedulable(message: str, gpu: GPU | None) -> Pending:
    """The scheduler's message in a sentence for the person who wrote the job."""
    if found := re.search(r'persistentvolumeclaim "([^"]+)" not found', message):
        return Pending(
            "ClaimNotFound",
            f'claim "{found[1]}" does not exist in this namespace; create it, or name another',
        )
    if "unbound immediate PersistentVolumeClaims" in message:
        return Pending(
            "ClaimUnbound", "the claim is not bound to a volume; look at `kubectl get pvc`"
        )
    if KEPT_OFF in message or "ReadWriteOncePod" in message:
        return Pending("VolumeElsewhere", message)
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
