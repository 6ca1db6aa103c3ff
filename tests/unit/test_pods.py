"""Reading pods: the sentence a person sees while one waits, and the class of how one failed."""

from datetime import UTC, datetime

import pytest

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_operator.api.seen import AttemptSeen, PodSeen
from olive_operator.api.spec import GPU
from olive_operator.plan import pods

ANY_GPU = GPU()
A10 = GPU(products=("NVIDIA-A10", "NVIDIA-A100-SXM4-80GB"))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pod", "gpu", "reason", "says", "stalled"),
    [
        pytest.param(None, None, "PodNotCreated", "not created yet", False, id="no pod yet"),
        pytest.param(
            PodSeen("p", unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
            ANY_GPU,
            "NoFreeGPU",
            "no node offers 1 free nvidia.com/gpu:",
            False,
            id="every GPU is taken",
        ),
        pytest.param(
            PodSeen("p", unschedulable="0/1 nodes: 1 node(s) didn't match Pod's node affinity"),
            A10,
            "NoSuchGPU",
            "no node offers nvidia.com/gpu with product NVIDIA-A10 or NVIDIA-A100-SXM4-80GB:",
            False,
            id="no such product",
        ),
        pytest.param(
            PodSeen("p", unschedulable="0/1 nodes are available: 1 Insufficient memory."),
            None,
            "Unschedulable",
            "Insufficient memory",
            False,
            id="something else is short",
        ),
        pytest.param(
            PodSeen("p", unschedulable='persistentvolumeclaim "models" not found.'),
            None,
            "ClaimNotFound",
            'claim "models" does not exist in this namespace',
            True,
            id="claim does not exist",
        ),
        pytest.param(
            PodSeen("p", unschedulable="pod has unbound immediate PersistentVolumeClaims"),
            None,
            "ClaimUnbound",
            "not bound to a volume",
            False,
            id="claim is not bound",
        ),
        pytest.param(
            PodSeen(
                "p", waiting="CreateContainerConfigError", waitingMessage='secret "t" not found'
            ),
            None,
            "SecretNotFound",
            'secret "t" does not exist in this namespace; create it with a key "token"',
            True,
            id="secret does not exist",
        ),
        pytest.param(
            PodSeen(
                "p",
                waiting="CreateContainerConfigError",
                waitingMessage="couldn't find key token in Secret ml/t",
            ),
            None,
            "SecretKeyNotFound",
            'secret "t" has no key "token"',
            True,
            id="secret lacks its key",
        ),
        pytest.param(
            PodSeen("p", waiting="ImagePullBackOff", waitingMessage="Back-off pulling x"),
            None,
            "ImagePull",
            "Back-off pulling x",
            True,
            id="image cannot be pulled",
        ),
        pytest.param(
            PodSeen("p", waiting="ContainerCreating"),
            None,
            "ContainerCreating",
            "being created",
            False,
            id="container is being made",
        ),
    ],
)
def test_why_a_pod_waits(
    pod: PodSeen | None, gpu: GPU | None, reason: str, says: str, stalled: bool
) -> None:
    found = pods.pending(pod, gpu)
    assert (found.reason, found.stalled) == (reason, stalled)
    assert says in found.message


def _reported(failure: FailureClass, **fields: object) -> PodSeen:
    report = Report("Failed", reason=failure, message="as told")
    values = {"phase": "Failed", "terminated": "Error", "exitCode": 1, **fields}
    return PodSeen("p", output=report.to_json(), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pod", "failure", "says"),
    [
        pytest.param(None, FailureClass.EVICTED, "was deleted", id="pod is gone"),
        pytest.param(
            _reported(FailureClass.DISK_FULL), FailureClass.DISK_FULL, "as told", id="own report"
        ),
        pytest.param(
            _reported(FailureClass.CANCELLED, disrupted="EvictionByEvictionAPI: drained"),
            FailureClass.EVICTED,
            "EvictionByEvictionAPI",
            id="told to stop by an eviction",
        ),
        pytest.param(
            _reported(FailureClass.CANCELLED, disrupted="PreemptionByScheduler: sorry"),
            FailureClass.PREEMPTED,
            "PreemptionByScheduler",
            id="told to stop by a preemption",
        ),
        pytest.param(
            PodSeen("p", phase="Failed", terminated="OOMKilled", exitCode=137),
            FailureClass.OUT_OF_MEMORY,
            "more memory than its limit",
            id="killed by the kernel",
        ),
        pytest.param(
            PodSeen("p", phase="Failed", disrupted="Evicted: The node was low on resource"),
            FailureClass.EVICTED,
            "low on resource",
            id="evicted by the kubelet",
        ),
        pytest.param(
            PodSeen("p", phase="Failed", terminated="Error", exitCode=1, output="last log line"),
            FailureClass.STAGE_ERROR,
            "exit code 1 (Error): last log line",
            id="no report but a log",
        ),
        pytest.param(
            PodSeen("p", phase="Succeeded", terminated="Completed", exitCode=0),
            FailureClass.STAGE_ERROR,
            "neither report nor log",
            id="an exit code that lies",
        ),
    ],
)
def test_why_an_attempt_failed(pod: PodSeen | None, failure: FailureClass, says: str) -> None:
    found = pods.failure(AttemptSeen("a", "quantize", "k", 1, "Failed", pod=pod))
    assert found.failure == failure
    assert says in found.message
