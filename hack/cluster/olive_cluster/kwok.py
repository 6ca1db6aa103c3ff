"""Nodes without machines: kwok plays the kubelet for them and for the pods on them.

What happens to a node or a pod, and after how long, is told by Stage objects (sigs.k8s.io/kwok).
"""

from pathlib import Path

from olive_cluster.binaries import KWOK, binary, built
from olive_cluster.kubectl import apply, kubectl
from olive_cluster.processes import Processes
from olive_cluster.shell import say

CAPACITY = {"cpu": "10k", "memory": "100Ti", "pods": "10k", "nvidia.com/gpu": "1k"}
"""Of each node: no pod waits for room."""


def node_manifest(number: int) -> dict[str, object]:
    """One node; kwok adds the rest, readiness included."""
    name = f"node-{number:03}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": CAPACITY, "allocatable": CAPACITY},
    }


def start_kwok(processes: Processes, nodes: int, stages: Path | None) -> None:
    """Add the nodes and start kwok, with `stages` for pods (a file, or a folder to kustomize)."""
    places = processes.places
    apply(places, [node_manifest(number) for number in range(nodes)])
    own = built(KWOK)
    files = [own / "node.yaml", own / "heartbeat.yaml", stages or own / "pod.yaml"]
    flags = ["--kubeconfig=config/kwok", "--manage-all-nodes", "--cidr=10.128.0.0/9"]
    processes.start("kwok", [binary("kwok"), *flags, *(f"--config={file}" for file in files)])
    ready = "--output=jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    processes.until(
        "nodes that are Ready",
        lambda: kubectl(places, "get", "nodes", ready).split() == ["True"] * nodes,
    )
    say(f"{nodes} nodes are Ready")
