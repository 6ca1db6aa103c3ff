"""Kueue outside any pod: its own manifests, less what a process on this machine does not need.

It makes its webhooks' certificate itself, keeps it in a Secret and hands the authority to the
API server, as everywhere. What a kubelet would do, putting the Secret's files where Kueue reads
them, is done here once; what its Service would do, a name for this machine's loopback does.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

from olive_cluster.binaries import KUEUE, binary, built
from olive_cluster.control_plane import local_endpoint
from olive_cluster.kubectl import answers, apply, documents, kubectl
from olive_cluster.places import Places
from olive_cluster.processes import Processes
from olive_cluster.shell import say

Manifest = dict[str, Any]

NAMESPACE = "kueue-system"
SERVICE = "kueue-webhook-service"
SECRET = "kueue-webhook-server-cert"  # noqa: S105 - its name
CERTIFICATES = "pki/kueue"
GROUPS = {"batch", "kueue.x-k8s.io"}
"""What it looks after: Jobs, and its own kinds."""


def configuration(port: int) -> Manifest:
    """Kueue's configuration: Jobs alone, and nothing served but the webhooks, on loopback."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": "0"},
        "metrics": {"bindAddress": "0"},
        "featureGates": {"VisibilityOnDemand": False},
        "webhook": {"host": "127.0.0.1", "port": port, "certDir": CERTIFICATES},
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"qps": 1000, "burst": 2000},
        "controller": {"groupKindConcurrency": {"Job.batch": 20, "Workload.kueue.x-k8s.io": 20}},
        "integrations": {"frameworks": ["batch/job"]},
    }


def needed(manifests: list[Manifest], port: int) -> list[Manifest]:
    """Those of Kueue's manifests that it needs here, its webhooks at `port` of this machine."""
    kept = [
        manifest
        for manifest in manifests
        if manifest["kind"] in ("Namespace", "Secret", "CustomResourceDefinition")
    ]
    for manifest in manifests:
        if "webhooks" in manifest:
            hooks = [hook for hook in manifest["webhooks"] if _groups(hook) <= GROUPS]
            kept.append(manifest | {"webhooks": hooks})
    for client in _clients(kept):
        client["service"]["port"] = port
    loopback = {"type": "ExternalName", "externalName": "127.0.0.1"}
    metadata = {"name": SERVICE, "namespace": NAMESPACE}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": loopback}
    return [*kept, service]


def start_kueue(processes: Processes) -> None:
    """Bring Kueue's kinds and webhooks, and start it."""
    places = processes.places
    port = local_endpoint().port
    apply(places, needed(documents(built(KUEUE) / "kueue.yaml"), port))
    config = places.config / "kueue.json"
    config.write_text(json.dumps(configuration(port)))
    command = [binary("kueue"), "--kubeconfig=config/kueue", "--config=config/kueue.json"]
    processes.start("kueue", command)
    processes.until("certificate of Kueue's", lambda: _mount_certificate(places))
    await_kueue(processes)


def await_kueue(processes: Processes) -> None:
    """Wait until Kueue's webhooks answer: until then nobody can create a Job."""
    kind = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor"}
    probe = json.dumps(kind | {"metadata": {"name": "probe"}})
    create = ("create", "--dry-run=server", "--filename=-", "--output=name")
    processes.until(
        "answer of Kueue",
        lambda: answers(processes.places, *create, stdin=probe),
        needed=("etcd", "apiserver", "kueue"),
    )
    say("Kueue is ready")


def _groups(hook: Manifest) -> set[str]:
    return {group for rule in hook["rules"] for group in rule["apiGroups"]}


def _clients(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Where the API server finds each webhook."""
    for manifest in manifests:
        if conversion := manifest.get("spec", {}).get("conversion"):
            yield conversion["webhook"]["clientConfig"]
        for hook in manifest.get("webhooks", []):
            yield hook["clientConfig"]


def _mount_certificate(places: Places) -> bool:
    """Write the files of Kueue's Secret, once it has any."""
    get = ("get", "secret", SECRET, f"--namespace={NAMESPACE}", "--output=json")
    data = json.loads(kubectl(places, *get)).get("data", {})
    folder = places.root / CERTIFICATES
    folder.mkdir(exist_ok=True)
    # The certificate last: Kueue goes on as soon as it is there.
    for file in ("tls.key", "tls.crt"):
        if file in data:
            (folder / file).write_bytes(base64.b64decode(data[file]))
    return "tls.crt" in data
