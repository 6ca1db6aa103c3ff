"""What the installation decides, read once at start from the file that the chart mounts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from olive_contract.serial import decode
from olive_operator.api.duration import Duration


@dataclass(frozen=True)
class Images:
    """Full references of the images that the operator's pods run.

    ``stageSlim`` is ``stage`` without PyTorch, a ninth of its size.
    """

    stage: str
    stageSlim: str
    serve: str


@dataclass(frozen=True)
class PodDefaults:
    """Resources (Kubernetes quantities), placement and taints of one class of pods."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    nodeSelector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class ServeDefaults(PodDefaults):
    """Those of serving pods; ``networkPolicy``: each serving gets one."""

    networkPolicy: bool = True


@dataclass(frozen=True)
class ClaimDefaults:
    """The claim that is made when a job names none."""

    size: str = "100Gi"
    storageClassName: str = ""
    accessMode: str = "ReadWriteOnce"


@dataclass(frozen=True)
class Egress:
    """How stages that fetch or publish reach out of the cluster.

    ``env``: variables of their containers (HTTPS_PROXY, HF_ENDPOINT, AZURE_AUTHORITY_HOST …).
    ``caConfigMap``: a ConfigMap of the job's namespace whose key ``ca.crt`` holds every certificate
    authority to trust, in place of the image's.
    """

    env: dict[str, str] = field(default_factory=dict)
    caConfigMap: str = ""


@dataclass(frozen=True)
class Retention:
    """What is kept in the stores.

    An artifact that nothing refers to for ``retention`` (empty: for ever); fewer, the longest
    unreferenced first to go, where a store's artifacts have more than ``maxSize`` (a Kubernetes
    quantity; empty: no limit); what attempts have left half-made for ``leftovers`` (empty: for
    ever).
    """

    retention: Duration = "30d"
    maxSize: str = ""
    leftovers: Duration = "7d"

    @property
    def bytes(self) -> float:
        """``maxSize`` as a number."""
        from kubernetes.utils.quantity import parse_quantity  # half a second, and seldom needed

        return float(parse_quantity(self.maxSize))


@dataclass(frozen=True)
class Retry:
    """``limit`` failures of a stage that count; ``backoffSeconds`` doubles with each."""

    limit: int = 3
    backoffSeconds: int = 10


TIMEOUTS: Final[Mapping[str, Duration]] = {
    "fetch": "6h",
    "check": "1h",
    "quantize": "12h",
    "workflow": "1d",
    "export": "4h",
    "finetune": "2d",
    "adapter": "1h",
    "reference": "6h",
    "evaluate": "6h",
    "publish": "6h",
}
"""How long an attempt may run, by kind of stage."""


@dataclass(frozen=True)
class LeaseConfig:
    """The Lease by which one of several operators works; ``namespace`` empty: the pod's own.

    Another takes over when it has not changed for ``seconds``; its holder asks every
    ``retrySeconds`` to renew it, and stops working when it could not for ``renewSeconds``.
    """

    name: str = "olive-operator"
    namespace: str = ""
    seconds: float = 10.0
    renewSeconds: float = 7.0
    retrySeconds: float = 1.0


@dataclass(frozen=True)
class Metrics:
    """``jobs``: how many jobs, the latest changed, have series of their own; 0 for none."""

    jobs: int = 50


@dataclass(frozen=True)
class Tracing:
    """``endpoint``: where traces are sent by OTLP over HTTP (http://host:4318); empty for none."""

    endpoint: str = ""


@dataclass(frozen=True)
class Config:
    """The operator's configuration; ``namespaces`` empty means all.

    A running stage without progress for ``progressDeadline`` makes its job Stalled; an image that
    cannot be pulled for ``imagePullDeadline`` fails the attempt. ``gatewayAPI``: the cluster has
    the Gateway API, and a serving may have an HTTPRoute.
    """

    images: Images
    namespaces: tuple[str, ...] = ()
    imagePullPolicy: str = "IfNotPresent"
    imagePullSecrets: tuple[str, ...] = ()
    cpuStage: PodDefaults = PodDefaults()
    gpuStage: PodDefaults = PodDefaults()
    serve: ServeDefaults = ServeDefaults()
    egress: Egress = Egress()
    storage: ClaimDefaults = ClaimDefaults()
    store: Retention = Retention()
    retry: Retry = Retry()
    timeouts: dict[str, Duration] = field(default_factory=lambda: dict(TIMEOUTS))
    progressDeadline: Duration = "30m"
    imagePullDeadline: Duration = "5m"
    progressSeconds: int = 5
    gatewayAPI: bool = False
    lease: LeaseConfig = LeaseConfig()
    metrics: Metrics = Metrics()
    tracing: Tracing = Tracing()


def load(path: Path) -> Config:
    """The configuration in a YAML file; ValueError names the field that is wrong."""
    return decode(Config, yaml.safe_load(path.read_text()))
