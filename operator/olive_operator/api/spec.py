"""The spec of an OptimizationJob, as the API server has defaulted and validated it.

Field names, meanings and defaults are the CRD's (crds/optimizationjobs.olive-operator.io.yaml); a
test holds the defaults equal.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from olive_contract.params import (
    OCI,
    Activations,
    Algorithm,
    AzureML,
    Device,
    Head,
    HuggingFace,
    Lora,
    Provider,
)
from olive_contract.serial import decode
from olive_operator.api.duration import Duration


@dataclass(frozen=True)
class Model:
    source: str
    secretRef: str | None = None
    allowPickle: bool = False
    trustRemoteCode: bool = False


@dataclass(frozen=True)
class CalibrationData:
    source: str
    template: str
    secretRef: str | None = None
    sha256: str | None = None
    samples: int = 128
    maxLength: int = 512


@dataclass(frozen=True)
class Quantize:
    algorithm: Algorithm = "rtn"
    precision: Literal["int4"] = "int4"
    groupSize: int = 128
    calibration: CalibrationData | None = None


@dataclass(frozen=True)
class Data:
    source: str
    template: str
    secretRef: str | None = None
    sha256: str | None = None
    evalSplit: float = 0.1


@dataclass(frozen=True)
class LoraSpec(Lora):
    """What the stage takes; here every field has the CRD's default."""

    rank: int = 16
    alpha: float = 32.0
    maxSteps: int = 100
    batchSize: int = 8
    learningRate: float = 1e-4
    maxLength: int = 512
    seed: int = 0


@dataclass(frozen=True)
class Adapter:
    """Trained here (``data``, ``lora``) or made elsewhere (``source``)."""

    name: str
    data: Data | None = None
    lora: LoraSpec | None = None
    source: str | None = None
    secretRef: str | None = None
    allowPickle: bool = False


@dataclass(frozen=True)
class Export:
    device: Device = "cpu"
    provider: Provider = "CPUExecutionProvider"
    head: Head = "int8"
    activations: Activations = "int8"


@dataclass(frozen=True)
class Gate:
    """A bound that every evaluation must keep: ``metric`` at least ``min``, at most ``max``.

    Bounds are numbers or Kubernetes quantities (``3Gi``), as they were written.
    """

    metric: str
    min: float | str | None = None
    max: float | str | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Its bounds in words, such as ``perplexity at most 9.5``."""
        bounds = (("at least", self.min), ("at most", self.max))
        return tuple(
            f"{self.metric} {word} {bound if isinstance(bound, str) else f'{bound:.6g}'}"
            for word, bound in bounds
            if bound is not None
        )


@dataclass(frozen=True)
class EvaluationData:
    """Rows to measure the base on, by itself: all of them, as nothing is trained on them."""

    source: str
    template: str
    secretRef: str | None = None
    sha256: str | None = None
    maxLength: int = 512


@dataclass(frozen=True)
class Evaluate:
    samples: int = 64
    reference: bool = True
    data: EvaluationData | None = None
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True)
class AzureIdentity:
    """Who the job is at Azure.

    With ``clientID`` and ``tenantID`` the token of ``serviceAccountName`` (the namespace's default
    if left out) is exchanged for theirs; ``secretRef`` names a Secret with a service principal.
    Without either it is the node's or whatever a webhook gives the pod.
    """

    clientID: str | None = None
    tenantID: str | None = None
    serviceAccountName: str | None = None
    secretRef: str | None = None


@dataclass(frozen=True)
class HuggingFaceTarget(HuggingFace):
    """What the stage takes, and the Secret with the token."""

    secretRef: str | None = None


@dataclass(frozen=True)
class OCITarget(OCI):
    """What the stage takes, and the Secret with the registry's credentials."""

    secretRef: str | None = None


@dataclass(frozen=True)
class Publish:
    """Where the result goes once it has passed its gates; to each of these that is given."""

    azureML: AzureML | None = None
    huggingFace: HuggingFaceTarget | None = None
    oci: OCITarget | None = None


@dataclass(frozen=True)
class Autoscaling:
    """Pods by load: more where on average more than ``waitingRequests`` wait in one."""

    maxReplicas: int
    minReplicas: int = 1
    waitingRequests: int = 4


@dataclass(frozen=True)
class ApiKeys:
    """The Secret whose values are the keys; it is mounted, and read by the server only."""

    secretRef: str


@dataclass(frozen=True)
class LocalCopy:
    """The model on a disk of the pod's own, which takes ``sizeLimit`` at most (a quantity)."""

    sizeLimit: str | int

    @property
    def bytes(self) -> int:
        """``sizeLimit`` as a number."""
        from kubernetes.utils.quantity import parse_quantity  # half a second, and seldom needed

        return int(parse_quantity(self.sizeLimit))


@dataclass(frozen=True)
class ParentRef:
    """A Gateway, or a listener of one (``sectionName``); in the job's namespace if none is told."""

    name: str
    namespace: str | None = None
    sectionName: str | None = None


@dataclass(frozen=True)
class Route:
    parentRefs: tuple[ParentRef, ...]
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Serve:
    """``replicas`` None: one to begin with, and then as many as whoever scales it says."""

    replicas: int | None = None
    autoscaling: Autoscaling | None = None
    resources: dict[str, Any] = field(default_factory=dict)
    localCopy: LocalCopy | None = None
    apiKeys: ApiKeys | None = None
    page: bool = True
    route: Route | None = None


@dataclass(frozen=True)
class GPU:
    resource: str = "nvidia.com/gpu"
    count: int = 1
    products: tuple[str, ...] = ()
    tolerations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Storage:
    claim: str | None = None
    size: str | int | None = None
    storageClassName: str | None = None
    accessMode: str | None = None


@dataclass(frozen=True)
class RetrySpec:
    """What a job says of its retries; None: as the installation has it."""

    limit: int | None = None
    backoff: Duration | None = None


@dataclass(frozen=True)
class Spec:
    model: Model
    quantize: Quantize | None = None
    workflow: dict[str, Any] | None = None
    adapters: tuple[Adapter, ...] = ()
    export: Export = Export()
    evaluate: Evaluate | None = None
    publish: Publish | None = None
    serve: Serve | None = None
    azure: AzureIdentity | None = None
    gpu: GPU = GPU()
    storage: Storage = Storage()
    retry: RetrySpec = RetrySpec()
    timeouts: dict[str, Duration] = field(default_factory=dict)
    """By kind of stage."""
    progressDeadline: Duration | None = None
    queue: str | None = None
    priorityClassName: str | None = None
    suspend: bool = False
    ttlAfterFinished: Duration | None = None

    @staticmethod
    def from_body(body: dict[str, Any]) -> "Spec":
        """ValueError names the field that does not fit (possible only past the CRD)."""
        return decode(Spec, body, "spec")
