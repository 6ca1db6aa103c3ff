"""GPUs that the node says it has: enough for a scheduler, and for tests of what waits for one."""

import json

from olive_cluster.kubectl import kubectl
from olive_cluster.places import Places
from olive_cluster.sandbox import require_node

RESOURCE = "nvidia.com/gpu"


def advertise(places: Places, count: int, product: str | None) -> None:
    """Set the node's number of GPUs and their product; no GPUs and no product remove them."""
    require_node(places)
    node = f"node/{places.name}"
    amounts = {RESOURCE: str(count) if count else None}
    status = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
    kubectl(places, "patch", node, "--subresource=status", "--type=merge", f"--patch={status}")
    labels = json.dumps({"metadata": {"labels": {f"{RESOURCE}.product": product}}})
    kubectl(places, "patch", node, "--type=merge", f"--patch={labels}")
