"""Images on the node: which there are, and how to bring one in."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from olive_cluster.binaries import binary
from olive_cluster.node import PAUSE_IMAGE
from olive_cluster.places import CONTENT, Places
from olive_cluster.sandbox import require_node
from olive_cluster.shell import ClusterError, run, say

_TYPE = "application/vnd.oci.image."


def ctr(places: Places) -> list[str]:
    """containerd's client, at the node's containerd and in the kubelet's namespace."""
    return ["ctr", "--address", str(places.containerd_socket), "--namespace", "k8s.io"]


def refs(places: Places) -> list[str]:
    """The images of the node, by name."""
    require_node(places)  # ctr would wait long for a socket that is not there
    listed = run([*ctr(places), "images", "list", "--quiet"]).split()
    return sorted(ref for ref in listed if not ref.startswith("sha256:"))


def load(places: Places, archive: Path, ref: str) -> None:
    """Import an OCI archive, or an OCI layout folder, unless the node has `ref` already.

    Of a folder only those blobs travel that containerd does not hold: a new image that shares
    its big layers with an older one is there in a second or two.
    """
    if ref in refs(places):
        say(f"{ref} is on the node already")
        return
    if archive.is_dir():
        stored = {path.name for path in CONTENT.iterdir()} if CONTENT.is_dir() else set()
        _stream(places, pack(archive, ref, stored))
    else:
        run([*ctr(places), "images", "import", str(archive)])
    if ref not in refs(places):
        raise ClusterError(f"{archive} was imported but holds no image named {ref}")
    say(f"{ref} is on the node")


def load_pause(places: Places) -> None:
    """Make the image of every pod's first process out of one static program."""
    if PAUSE_IMAGE not in refs(places):
        _stream(places, _one_file_image(Path(binary("pause")), PAUSE_IMAGE))


Entry = tuple[str, bytes | Path]


def pack(layout: Path, ref: str, stored: Iterable[str]) -> Iterator[Entry]:
    """The entries of an archive of one image of a layout, less the blobs that are stored."""
    index = json.loads((layout / "index.json").read_text())
    named = "org.opencontainers.image.ref.name"
    found = [m for m in index["manifests"] if m.get("annotations", {}).get(named) == ref]
    if not found:
        raise ClusterError(f"{layout} holds no image named {ref}")
    blobs = layout / "blobs" / "sha256"
    digest = found[0]["digest"].removeprefix("sha256:")
    manifest = json.loads((blobs / digest).read_text())
    yield from _head({key: found[0][key] for key in ("mediaType", "digest", "size")}, ref)
    yield f"blobs/sha256/{digest}", blobs / digest
    for blob in (manifest["config"], *manifest["layers"]):
        name = blob["digest"].removeprefix("sha256:")
        if name not in stored:
            yield f"blobs/sha256/{name}", blobs / name


def _one_file_image(program: Path, ref: str) -> Iterator[Entry]:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo(program.name)
        entry.size, entry.mode = program.stat().st_size, 0o755
        with program.open("rb") as file:
            tar.addfile(entry, file)
    blobs: dict[str, bytes] = {}

    def blob(kind: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": _TYPE + kind, "digest": f"sha256:{digest}", "size": len(data)}

    described = blob("layer.v1.tar", layer.getvalue())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [described["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _TYPE + "manifest.v1+json",
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": [described],
    }
    yield from _head(blob("manifest.v1+json", json.dumps(manifest).encode()), ref)
    yield from ((f"blobs/sha256/{digest}", data) for digest, data in blobs.items())


def _head(manifest: dict[str, object], ref: str) -> Iterator[Entry]:
    manifest["annotations"] = {"io.containerd.image.name": ref}
    yield "oci-layout", b'{"imageLayoutVersion": "1.0.0"}'
    yield "index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()


def _stream(places: Places, entries: Iterable[Entry]) -> None:
    """Hand an archive to containerd as it is made: no copy of it ever lies on the disk."""
    command = [*ctr(places), "images", "import", "-"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with (
        suppress(BrokenPipeError),  # it says itself why it ended
        tarfile.open(fileobj=process.stdin, mode="w|", bufsize=1 << 20) as archive,
    ):
        for name, content in entries:
            _add(archive, name, content)
    reason = process.communicate()[1].decode().strip()
    if process.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` ended with {process.returncode}: {reason}")


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    entry = tarfile.TarInfo(name)
    file: BinaryIO
    if isinstance(content, Path):
        entry.size = content.stat().st_size
        with content.open("rb") as file:
            tar.addfile(entry, file)
    else:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
