"""The two kinds of cluster, brought up step by step: a control plane alone, and a node."""

from dataclasses import dataclass
from pathlib import Path

from olive_cluster import control_plane, images, kubectl, node, pki, volumes
from olive_cluster.binaries import binary
from olive_cluster.control_plane import NODE_ENDPOINT
from olive_cluster.kubectl import answers
from olive_cluster.kueue import start_kueue
from olive_cluster.kwok import start_kwok
from olive_cluster.packages import install
from olive_cluster.processes import Processes
from olive_cluster.sandbox import open_sandbox, pod_cgroups
from olive_cluster.shell import ClusterError, require_root, run, say


@dataclass(frozen=True)
class Alone:
    """A control plane without a node of this machine, and what it has beside the controllers.

    `nodes` that kwok plays bring the scheduler; `stages` tell what becomes of their pods.
    """

    nodes: int = 0
    stages: Path | None = None
    kueue: bool = False

    def clients(self) -> list[pki.Identity]:
        """Whose processes it has, but for those of every cluster."""
        played = [pki.SCHEDULER, pki.KWOK] if self.nodes else []
        return [*played, pki.KUEUE] if self.kueue else played


def bring_up_alone(processes: Processes, wanted: Alone) -> None:
    """Bring up a control plane on this machine's loopback."""
    places = processes.places
    install("openssl")
    endpoint = control_plane.local_endpoint()
    places.make()
    control_plane.write_identities(places, endpoint, wanted.clients())
    control_plane.start_api_server(processes, endpoint, with_node=False)
    await_api_server(processes)
    control_plane.start_controllers(processes)
    if wanted.nodes:
        control_plane.start_scheduler(processes)
        start_kwok(processes, wanted.nodes, wanted.stages)
    if wanted.kueue:
        start_kueue(processes)
    _await_accounts(processes)


def bring_up_node(processes: Processes) -> None:
    """Bring up a node with all that its pods need."""
    places = processes.places
    require_root("a cluster with a node (without one: --control-plane)")
    install("containerd", "runc", "ip", "iptables", "nsenter", "openssl", node.BRIDGE_PLUGIN)
    if pod_cgroups():
        raise ClusterError("another kubelet's pods run on this machine (control group kubepods)")
    binary("kubelet")  # whatever has to be built is built before anything is set up
    binary("etcd")
    places.make()
    clients = [pki.SCHEDULER, pki.PROXY, pki.kubelet(places.name)]
    control_plane.write_identities(places, NODE_ENDPOINT, clients)
    node.write_config(places)
    open_sandbox(processes)
    node.start_containerd(processes)
    control_plane.start_api_server(processes, NODE_ENDPOINT, with_node=True)
    containerd = [*images.ctr(places), "version"]
    processes.until("an answer of containerd", lambda: bool(run(containerd, check=False)))
    images.load_pause(places)
    await_api_server(processes)
    control_plane.start_controllers(processes)
    control_plane.start_scheduler(processes)
    node.start_node(processes)
    volumes.refill(places)
    ready = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    get_node = ("get", "node", places.name, ready)
    processes.until(
        "node that is Ready",
        lambda: answers(places, *get_node) and "True" in kubectl.kubectl(places, *get_node),
    )
    _await_accounts(processes)
    say(f"node {places.name!r} is Ready")


def await_api_server(processes: Processes) -> None:
    """Wait until the API server is ready."""
    ready = ("get", "--raw=/readyz")
    what, needed = "API server that is ready", ("etcd", "apiserver")
    processes.until(what, lambda: answers(processes.places, *ready), needed=needed)
    say("the API server is ready")


def _await_accounts(processes: Processes) -> None:
    """Wait until pods can be created: each has a service account, `default` if no other."""
    account = ("get", "serviceaccount", "default", "--namespace=default", "--output=name")
    processes.until("default service account", lambda: answers(processes.places, *account))
