"""kubectl as the cluster's administrator."""

import json
from pathlib import Path
from typing import Any

from olive_cluster.binaries import binary
from olive_cluster.places import Places
from olive_cluster.shell import ClusterError, run


def kubectl(places: Places, *arguments: str, stdin: str | None = None) -> str:
    """kubectl as the cluster's administrator."""
    return run([binary("kubectl"), f"--kubeconfig={places.kubeconfig}", *arguments], stdin=stdin)


def apply(places: Places, manifests: list[dict[str, object]]) -> None:
    """Create or update objects."""
    items = {"apiVersion": "v1", "kind": "List", "items": manifests}
    kubectl(places, "apply", "--server-side", "--filename=-", stdin=json.dumps(items))


def documents(file: Path) -> list[dict[str, Any]]:
    """The objects in a file of YAML."""
    same = ["--kubeconfig=/dev/null", "--local", "--type=merge", "--patch={}", "--output=json"]
    text = run([binary("kubectl"), "patch", f"--filename={file}", *same])
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def answers(places: Places, *arguments: str, stdin: str | None = None) -> bool:
    """Whether kubectl succeeds and says something: a condition to wait for."""
    try:
        return bool(kubectl(places, *arguments, stdin=stdin).strip())
    except ClusterError:
        return False
