"""A certificate authority for one cluster, made by openssl, and the kubeconfigs it backs."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from olive_cluster.shell import run

DAYS = "365"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


@dataclass(frozen=True)
class Identity:
    """Who a certificate speaks for: a user and, where it has one, the group of its rights."""

    file: str
    user: str
    group: str = ""

    def subject(self) -> str:
        """The certificate's subject as openssl takes it."""
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"


ADMIN = Identity("admin", "admin", "system:masters")
CONTROLLER_MANAGER = Identity("controller-manager", "system:kube-controller-manager")
SCHEDULER = Identity("scheduler", "system:kube-scheduler")
PROXY = Identity("proxy", "system:kube-proxy")
KWOK = Identity("kwok", "kwok", "system:masters")
KUEUE = Identity("kueue", "kueue", "system:masters")


def kubelet(node: str) -> Identity:
    """The identity by which the Node authorizer knows a kubelet."""
    return Identity("kubelet", f"system:node:{node}", "system:nodes")


def alternative_names(addresses: Iterable[str]) -> str:
    """The names and addresses under which clients may reach the API server."""
    names = [f"DNS:{name}" for name in SERVICE_NAMES]
    return "subjectAltName=" + ",".join(names + [f"IP:{address}" for address in addresses])


def issue(folder: Path, addresses: Iterable[str], identities: Iterable[Identity]) -> None:
    """Make the authority, the API server's certificate, the clients' and the token key."""
    ca = [*NEW_KEY, "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.crt"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,digitalSignature"]
    run(["openssl", "req", "-x509", *ca, "-days", DAYS, "-subj", "/CN=olive-cluster", *usage])
    server = Identity("apiserver", "kube-apiserver")
    _certificate(folder, server, "serverAuth", alternative_names(addresses))
    for identity in identities:
        _certificate(folder, identity, "clientAuth")
    key, public = f"{folder}/tokens.key", f"{folder}/tokens.pub"
    run(["openssl", "genpkey", "-algorithm", "RSA", "-out", key])
    run(["openssl", "pkey", "-in", key, "-pubout", "-out", public])


def _certificate(folder: Path, identity: Identity, use: str, *extensions: str) -> None:
    signer = ["-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key", "-days", DAYS]
    name = folder / identity.file
    command = ["openssl", "req", "-x509", *signer, *NEW_KEY, "-subj", identity.subject()]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
    # `req -x509` marks a certificate as an authority unless it is told otherwise.
    wanted = ("basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={use}", *extensions)
    for extension in wanted:
        command += ["-addext", extension]
    run(command)


def kubeconfig(folder: Path, identity: Identity, server: str, cluster: str) -> str:
    """A kubeconfig that needs no other file (JSON, which is YAML)."""

    def data(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    user = {
        "client-certificate-data": data(f"{identity.file}.crt"),
        "client-key-data": data(f"{identity.file}.key"),
    }
    where = {"server": server, "certificate-authority-data": data("ca.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": where}],
        "users": [{"name": identity.file, "user": user}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": identity.file}}],
        "current-context": cluster,
    }
    return json.dumps(config, indent=1)
