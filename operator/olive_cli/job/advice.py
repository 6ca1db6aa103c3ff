"""What to do about a stage, by the reason of its state: the words of docs/operations.md as data."""

from collections.abc import Mapping
from typing import Final

from olive_contract.failures import FailureClass
from olive_operator.plan.retries import POLICY

NOTHING: Final = "nothing: it goes on by itself"

PENDING: Final[Mapping[str, str]] = {
    "NoFreeGPU": "wait, or give the cluster more GPUs; nothing is wrong with the job",
    "NoSuchGPU": "correct spec.gpu.products: "
    "no node has that label value of nvidia.com/gpu.product",
    "Unschedulable": "make room for what the scheduler names: resources, taints, volumes elsewhere",
    "WaitingForQuota": "wait: the queue admits the attempt when it has quota "
    "(kubectl get workloads.kueue.x-k8s.io)",
    "QueueUnavailable": "install Kueue, create the LocalQueue or what is behind it, "
    "or leave spec.queue out",
    "VolumeBusy": "wait: the claim is ReadWriteOnce and in use on another node",
    "VolumeHeld": "use a ReadWriteMany claim, or set serve.replicas to 0 for a while: "
    "a serving has the volume, and does not end",
    "ClaimNotFound": "create the claim, or correct the name in the spec",
    "ClaimUnbound": "look at `kubectl get pvc` and its events: "
    "mostly a StorageClass that provisions nothing",
    "SecretNotFound": "create the secret with the key token",
    "SecretKeyNotFound": "add the key to the secret",
    "ImagePull": "correct the image's name in the chart's values, or the pull secrets",
    "ContainerConfig": "correct what the kubelet names",
    "NotBegun": "look at the pod's events (kubectl describe pod): a volume that cannot be mounted, "
    "no sandbox, or a very slow pull; after 30m the attempt fails",
    "Refused": "lift what the API server names: a quota of the namespace, an admission webhook",
    "PodNotCreated": NOTHING,
    "Scheduling": NOTHING,
    "ContainerCreating": NOTHING,
    "PodInitializing": NOTHING,
    "PodRefused": "correct what the API server names: "
    "a PriorityClass that does not exist, a LimitRange, Pod Security",
}
"""Why a pod does not start."""

OTHERS: Final[Mapping[str, str]] = {
    "GateFailed": "change the gate or the training; an edit of the gate runs nothing, "
    "and what is served stays as it is",
    "HeldBack": "change the gate that is missed, or the training",
    "NoProgress": "read its log: {logs}",
    "BuiltByAnotherJob": "nothing: it is found in the store when that job has made it",
    "BuiltByAnotherStage": "nothing: it is made once",
    "StoreSweeping": "nothing: it is made again when the sweep is over",
    "LastAttemptEnding": "nothing: two never work at one artifact, and it is over in two minutes",
    "RouteUnavailable": "set gatewayAPI in the chart's values, or leave serve.route out",
}
"""Of stages that do not wait for a pod."""

_ANNOTATE: Final = "annotate the job: olive-operator.io/retry=<any new value>"


def advice(reason: str, name: str, namespace: str, stage: str) -> str:
    """What to do, with the commands for this job; empty for a reason that a newer operator has."""
    if reason in PENDING:  # ImagePull is a failure besides; what to do is the same
        return PENDING[reason]
    logs = f"kubectl olive logs {name} {stage} -n {namespace}"
    if reason in OTHERS:
        return OTHERS[reason].format(logs=logs)
    try:
        said = POLICY[FailureClass(reason)].advice
    except ValueError:
        return ""
    said = said.replace(_ANNOTATE, f"kubectl olive retry {name} -n {namespace}")
    return said.replace("read the pod's log", f"read the pod's log ({logs})")
