"""What the installation decides, read once at start from the file that the chart mounts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from olive_contract.serial import decode


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
class ClaimDefaults:
    """The claim that is made when a job names none."""

    size: str = "100Gi"
    storageClassName: str = ""
    accessMode: str = "ReadWriteOnce"


@dataclass(frozen=True)
class Retry:
    """``limit`` failures of a stage that count; ``backoffSeconds`` doubles with each."""

    limit: int = 3
    backoffSeconds: int = 10


@dataclass(frozen=True)
class Config:
    """The operator's configuration; ``namespaces`` empty means all."""

    images: Images
    namespaces: tuple[str, ...] = ()
    imagePullPolicy: str = "IfNotPresent"
    imagePullSecrets: tuple[str, ...] = ()
    cpuStage: PodDefaults = PodDefaults()
    gpuStage: PodDefaults = PodDefaults()
    serve: PodDefaults = PodDefaults()
    storage: ClaimDefaults = ClaimDefaults()
    retry: Retry = Retry()
    progressSeconds: int = 5


def load(path: Path) -> Config:
    """The configuration in a YAML file; ValueError names the field that is wrong."""
    return decode(Config, yaml.safe_load(path.read_text()))
