"""PersistentVolumes made beforehand, from folders of the node.

Of class `local` they honour fsGroup, as those of clouds do and hostPath ones do not, so a pod
that is not root can write. Nothing provisions them, hence the pool, which `offer` refills.
"""

import json
from pathlib import Path

from olive_cluster.kubectl import apply, kubectl
from olive_cluster.places import Places
from olive_cluster.sandbox import enter_sandbox, require_node
from olive_cluster.shell import run

DEFAULT_CLASS = "local"
POOL = 24
_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def offer(places: Places, count: int, size: str, storage_class: str, tmpfs: str = "") -> None:
    """See to it that `count` volumes of a class are free.

    Those whose claim is gone are emptied and offered again before new ones are made. With
    `tmpfs`, each new one is a file system in memory of that size, to be filled up by tests.
    """
    require_node(places)
    listed = json.loads(kubectl(places, "get", "persistentvolumes", "--output=json"))["items"]
    mine = [item for item in listed if item["spec"]["storageClassName"] == storage_class]
    free = 0
    for volume in mine:
        if volume["status"]["phase"] == "Released":
            _empty(Path(volume["spec"]["local"]["path"]), places)
            unclaim = '{"spec": {"claimRef": null}}'
            name = f"persistentvolume/{volume['metadata']['name']}"
            kubectl(places, "patch", name, "--type=merge", f"--patch={unclaim}")
        free += volume["status"]["phase"] != "Bound"
    made = []
    for number in range(len(mine), len(mine) + count - free):
        name = f"{storage_class}-{number:03}"
        folder = places.volumes / name
        folder.mkdir(exist_ok=True)
        if tmpfs:
            option = f"size={tmpfs.removesuffix('i')}"  # mount's M is what Kubernetes calls Mi
            mount = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(folder)]
            run([*enter_sandbox(places), *mount])
        made.append(volume_manifest(name, folder, size, storage_class, places.name))
    apply(places, [_class(storage_class), *made])


def refill(places: Places) -> None:
    """See to it that the pool of the default class is full."""
    offer(places, POOL, "100Gi", DEFAULT_CLASS)


def _empty(folder: Path, places: Places) -> None:
    # From inside the node, where a volume in memory is mounted.
    inside = enter_sandbox(places)
    run([*inside, "find", str(folder), "-mindepth", "1", "-delete"])
    run([*inside, "chown", "0:0", str(folder)])
    run([*inside, "chmod", "0755", str(folder)])


def _class(name: str) -> dict[str, object]:
    annotations = _DEFAULT if name == DEFAULT_CLASS else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume_manifest(
    name: str, folder: Path, size: str, storage_class: str, node: str
) -> dict[str, object]:
    """One volume: a folder of the node that every access mode may claim."""
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
            "storageClassName": storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }
