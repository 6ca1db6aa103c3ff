"""etcd, the API server, the controllers and the scheduler: their commands and their start."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from olive_cluster import pki
from olive_cluster.binaries import binary
from olive_cluster.places import Places
from olive_cluster.processes import Processes
from olive_cluster.sandbox import NODE_ADDRESS, SERVICES
from olive_cluster.shell import ClusterError, run

# Relative: every process works in the cluster's folder. No port, no TLS, no one else's access.
ETCD = "unix://etcd:0"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Endpoint:
    """Where the API server listens."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """The server as a kubeconfig names it."""
        return f"https://{self.address}:{self.port}"


NODE_ENDPOINT = Endpoint(NODE_ADDRESS, 6443)


def local_endpoint() -> Endpoint:
    """A free port of this machine's loopback, for a control plane without a node."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Endpoint("127.0.0.1", probe.getsockname()[1])


def etcd() -> list[str]:
    """etcd for one client on this machine; its data is not meant to survive a power cut."""
    return [
        "--name=etcd",
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=unix://etcd-peer:0",
        "--initial-advertise-peer-urls=unix://etcd-peer:0",
        "--initial-cluster=etcd=unix://etcd-peer:0",
        "--log-level=warn",
    ]


def api_server(endpoint: Endpoint, *, with_node: bool) -> list[str]:
    """The API server. Pod Security admission is among the plugins that are on by default."""
    flags = [
        f"--etcd-servers={ETCD}",
        f"--bind-address={endpoint.address}",
        f"--advertise-address={endpoint.address}",
        f"--secure-port={endpoint.port}",
        "--tls-cert-file=pki/apiserver.crt",
        "--tls-private-key-file=pki/apiserver.key",
        "--client-ca-file=pki/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={SERVICES}",
        f"--service-account-issuer={ISSUER}",
        "--service-account-key-file=pki/tokens.pub",
        "--service-account-signing-key-file=pki/tokens.key",
        "--allow-privileged=true",
        "--shutdown-delay-duration=0s",
    ]
    if with_node:
        return [
            *flags,
            "--kubelet-client-certificate=pki/admin.crt",
            "--kubelet-client-key=pki/admin.key",
            "--kubelet-preferred-address-types=InternalIP",
        ]
    # Loopback is no address that pods could use, so none is published for them.
    return [*flags, "--endpoint-reconciler-type=none"]


def controller_manager() -> list[str]:
    """All controllers; nobody scrapes them, so they serve nothing."""
    return [
        "--kubeconfig=config/controller-manager",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--root-ca-file=pki/ca.crt",
        "--service-account-private-key-file=pki/tokens.key",
        "--cluster-signing-cert-file=pki/ca.crt",
        "--cluster-signing-key-file=pki/ca.key",
    ]


def scheduler() -> list[str]:
    """The scheduler, with its profiles as they come."""
    return ["--kubeconfig=config/scheduler", "--secure-port=0", "--leader-elect=false"]


def write_identities(places: Places, endpoint: Endpoint, others: Iterable[pki.Identity]) -> None:
    """Certificates and kubeconfigs of the control plane, the administrator and `others`."""
    clients = [pki.ADMIN, pki.CONTROLLER_MANAGER, *others]
    pki.issue(places.pki, ["127.0.0.1", "10.96.0.1", endpoint.address], clients)
    for client in clients:
        text = pki.kubeconfig(places.pki, client, endpoint.url, places.name)
        path = places.kubeconfig if client == pki.ADMIN else places.config / client.file
        path.write_text(text)
        path.chmod(0o600)


def start_api_server(processes: Processes, endpoint: Endpoint, *, with_node: bool) -> None:
    """Start etcd and the API server; the latter tries again until the former listens."""
    processes.start("etcd", [binary("etcd"), *etcd()])
    flags = api_server(endpoint, with_node=with_node)
    processes.start("apiserver", [binary("kube-apiserver"), *flags])


def start_controllers(processes: Processes) -> None:
    """Start the controller manager."""
    command = [binary("kube-controller-manager"), *controller_manager()]
    processes.start("controller-manager", command)


def kubectl(places: Places, *arguments: str, stdin: str | None = None) -> str:
    """kubectl as the cluster's administrator."""
    return run([binary("kubectl"), f"--kubeconfig={places.kubeconfig}", *arguments], stdin=stdin)


def apply(places: Places, manifests: list[dict[str, object]]) -> None:
    """Create or update objects."""
    items = {"apiVersion": "v1", "kind": "List", "items": manifests}
    kubectl(places, "apply", "--filename=-", stdin=json.dumps(items))


def answers(places: Places, *arguments: str) -> bool:
    """Whether kubectl succeeds and says something: a condition to wait for."""
    try:
        return bool(kubectl(places, *arguments).strip())
    except ClusterError:
        return False
