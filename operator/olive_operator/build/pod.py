"""What every pod of ours has in common: Pod Security "restricted", no API token, the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from olive_contract.keys import digest
from olive_operator import labels
from olive_operator.config import Config, PodDefaults

STORE_PATH: Final = "/store"
SOURCES_PATH: Final = "/sources"
USER: Final = 65532

Manifest = dict[str, Any]


def container_security() -> Manifest:
    """What the "restricted" profile asks of a container, and a read-only root besides."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def pod_spec(
    container: Manifest, volumes: Sequence[Manifest], defaults: PodDefaults, config: Config
) -> Manifest:
    """A pod with one container, a writable /tmp, and no right to speak to the API server.

    ``fsGroup`` makes a claim's files writable for the group; it is left alone where it fits, as a
    recursive change of a large store takes minutes.
    """
    container = {
        **container,
        "imagePullPolicy": config.imagePullPolicy,
        "securityContext": container_security(),
        "volumeMounts": [*container["volumeMounts"], {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
    }
    if config.imagePullSecrets:
        spec["imagePullSecrets"] = [{"name": name} for name in config.imagePullSecrets]
    if defaults.nodeSelector:
        spec["nodeSelector"] = dict(defaults.nodeSelector)
    if defaults.tolerations:
        spec["tolerations"] = [dict(t) for t in defaults.tolerations]
    return spec


@dataclass(frozen=True)
class StoreMount:
    """The claim with the store; ``oneNode``: only pods of one node can have it at a time."""

    claim: str
    oneNode: bool = False

    @property
    def volume(self) -> Manifest:
        return {"name": "store", "persistentVolumeClaim": {"claimName": self.claim}}

    @property
    def labels(self) -> dict[str, str]:
        """What the pods of a claim know each other by; a claim's own name may be too long."""
        return {labels.STORE: digest(self.claim)[:16]} if self.oneNode else {}

    @property
    def affinity(self) -> Manifest:
        """To the node where other pods have the claim, if there are any: the scheduler's rule for
        pods that match their own affinity lets the first one go anywhere."""
        if not self.oneNode:
            return {}
        term = {
            "labelSelector": {"matchLabels": self.labels},
            "topologyKey": "kubernetes.io/hostname",
        }
        return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def merged(
    defaults: Mapping[str, Mapping[str, Any]], over: Mapping[str, Mapping[str, Any]]
) -> Manifest:
    """Resource requests and limits: what the job says of a resource replaces both defaults of it.

    Otherwise a request above a default limit, say, would make a pod that is refused.
    """
    spoken_of = {name for part in over.values() for name in part}
    found = {
        part: {
            **{k: v for k, v in defaults.get(part, {}).items() if k not in spoken_of},
            **over.get(part, {}),
        }
        for part in ("requests", "limits")
    }
    return {part: values for part, values in found.items() if values}
