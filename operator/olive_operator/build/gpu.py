"""What a pod with GPUs asks for, and where it may be placed."""

from typing import Final

from olive_operator.api.spec import GPU
from olive_operator.build.pod import Manifest, merged
from olive_operator.config import PodDefaults

PRODUCT_LABEL: Final = "nvidia.com/gpu.product"
SHARED_MEMORY_PATH: Final = "/dev/shm"  # noqa: S108
"""A container's own holds 64 MiB, which NCCL finds too small."""


def ask_for(gpu: GPU, container: Manifest, volumes: list[Manifest], defaults: PodDefaults) -> None:
    """Ask for the GPUs; where there are several, NCCL shares memory between their processes."""
    container["resources"] = merged(defaults.resources, {"limits": {gpu.resource: gpu.count}})
    if gpu.count > 1:
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
        container["volumeMounts"].append({"name": "shared-memory", "mountPath": SHARED_MEMORY_PATH})


def affinity_to(gpu: GPU) -> Manifest:
    """The affinity to nodes with one of the products, where any are named."""
    if not gpu.products:
        return {}
    products = {"key": PRODUCT_LABEL, "operator": "In", "values": list(gpu.products)}
    terms = [{"matchExpressions": [products]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"nodeAffinity": required}
