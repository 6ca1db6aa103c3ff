"""etcd, the API server, the controllers and the scheduler: their commands and their start."""

import json
import secrets
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from olive_cluster import pki
from olive_cluster.binaries import binary
from olive_cluster.places import Places
from olive_cluster.processes import Processes
from olive_cluster.sandbox import NODE_ADDRESS, SERVICES
from olive_cluster.shell import ClusterError

# Relative: every process works in the cluster's folder. No port, no TLS, no one else's access.
ETCD = "unix://etcd:0"
ETCD_MEMBER = (
    "--name=etcd",
    "--initial-advertise-peer-urls=unix://etcd-peer:0",
    "--initial-cluster=etcd=unix://etcd-peer:0",
)
ISSUER = "https://kubernetes.default.svc.cluster.local"

# Thousands of objects are created and changed in a minute here, and nobody else is held up.
CLIENT_LIMITS = ("--kube-api-qps=1000", "--kube-api-burst=2000")
KUBERNETES_OWN = [p.user for p in (pki.CONTROLLER_MANAGER, pki.SCHEDULER, pki.KWOK)]
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": KUBERNETES_OWN},
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata"},
    ],
}
"""Every request but those of Kubernetes' own programs, which are most: reads included, and when it
was answered; no bodies."""


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
    """A free port of this machine's loopback, for a control plane without a node.

    The kernel gives ports from 32768 upward to anybody, so one below is still free at a restart.
    """
    for _ in range(100):
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return Endpoint("127.0.0.1", port)
    raise ClusterError("no free port on 127.0.0.1 between 20000 and 32000")


def etcd() -> list[str]:
    """etcd for one client on this machine; its data is not meant to survive a power cut."""
    return [
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=unix://etcd-peer:0",
        *ETCD_MEMBER,
        # As kubeadm has it: without, the API server has no bookmarks for watches of what is quiet.
        "--watch-progress-notify-interval=5s",
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
    return [
        *flags,
        # Loopback is no address that pods could use, so none is published for them.
        "--endpoint-reconciler-type=none",
        "--audit-policy-file=config/audit.json",
        "--audit-log-path=logs/audit.log",
        "--audit-log-maxsize=100000",  # one file, whatever its size (in MiB)
    ]


def controller_manager() -> list[str]:
    """All controllers; nobody scrapes them, so they serve nothing."""
    return [
        "--kubeconfig=config/controller-manager",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--concurrent-job-syncs=50",
        *CLIENT_LIMITS,
        "--root-ca-file=pki/ca.crt",
        "--service-account-private-key-file=pki/tokens.key",
        "--cluster-signing-cert-file=pki/ca.crt",
        "--cluster-signing-key-file=pki/ca.key",
    ]


def scheduler() -> list[str]:
    """The scheduler, with its profiles as they come."""
    own = ["--kubeconfig=config/scheduler", "--secure-port=0", "--leader-elect=false"]
    return [*own, *CLIENT_LIMITS]


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
    (processes.places.config / "audit.json").write_text(json.dumps(AUDIT_POLICY))
    processes.start("etcd", [binary("etcd"), *etcd()])
    flags = api_server(endpoint, with_node=with_node)
    processes.start("apiserver", [binary("kube-apiserver"), *flags])


def start_controllers(processes: Processes) -> None:
    """Start the controller manager."""
    command = [binary("kube-controller-manager"), *controller_manager()]
    processes.start("controller-manager", command)


def start_scheduler(processes: Processes) -> None:
    """Start the scheduler."""
    processes.start("scheduler", [binary("kube-scheduler"), *scheduler()])
