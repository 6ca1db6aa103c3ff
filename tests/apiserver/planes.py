"""Control planes of a test file's own: with nodes that are played, a scheduler, or Kueue."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from programs import ROOT, hack

from .kubectl import Kubectl

STAGES = Path(__file__).parent / "kwok.yaml"
"""What kwok does; the rest of the kubelet is StandInNode's, which tests can hold."""


@contextmanager
def plane(name: str, *options: str) -> Iterator[Path]:
    """The kubeconfig of a control plane: $<NAME>_KUBECONFIG, or one as long as the block lasts."""
    if given := os.environ.get(f"{name.upper()}_KUBECONFIG"):
        yield Path(given)
        return
    name = f"{name}-{os.getpid()}"
    if "--kwok" in options:
        options = (*options, "--stages", str(STAGES))
    try:
        yield Path(hack("cluster", "up", "--control-plane", "--name", name, *options))
    finally:
        hack("cluster", "down", "--name", name)


def with_crds(kubeconfig: Path) -> Kubectl:
    """kubectl at the API server, which knows our kinds."""
    kubectl = Kubectl(hack("cluster", "tool", "kubectl"), kubeconfig)
    folder = f"--filename={ROOT / 'crds'}"
    kubectl("apply", "--server-side", "--force-conflicts", folder)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", folder)
    return kubectl


def store(kubectl: Kubectl, mode: str = "ReadWriteMany", name: str = "olive-store") -> None:
    """A claim with the store, bound to a volume that every node could mount."""
    volume, size = f"{kubectl.namespace}-{name}", {"storage": "100Gi"}
    common = {"accessModes": [mode], "storageClassName": ""}
    path = {"hostPath": {"path": f"/{volume}"}}
    claim = {**common, "volumeName": volume, "resources": {"requests": size}}
    for kind, named, body in (
        ("PersistentVolume", volume, {**common, **path, "capacity": size}),
        ("PersistentVolumeClaim", name, claim),
    ):
        kubectl.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": named}, "spec": body})
    kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "--timeout=30s", f"pvc/{name}")
