"""A version as an OCI image: layers, configuration and manifest, the same for the same files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from olive_contract.keys import canonical
from olive_stage.publish.blob_upload import Blob
from olive_stage.publish.tar_layer import Layer
from olive_stage.publish.version import ADAPTERS_FOLDER, Entry, Version

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONTENT = "io.olive-operator.content"
JOB = "io.olive-operator.job"
TITLE = "org.opencontainers.image.title"
LICENSES = "org.opencontainers.image.licenses"
PLATFORM = {"architecture": "amd64", "os": "linux"}
"""An image must have one; the files are the same everywhere."""


@dataclass(frozen=True)
class Text:
    """A blob that is small."""

    content: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int = 0) -> Iterator[bytes]:
        yield self.content[offset:]


def layers_of(version: Version) -> Iterator[Layer]:
    """The base's files, those of each adapter, and the documents."""
    for adapter, entries in groupby(sorted(version.entries, key=_adapter_of), key=_adapter_of):
        yield Layer(f"adapter-{adapter}.tar" if adapter else "base.tar", tuple(entries))
    if version.documents:
        yield Layer("documents.tar", version.documents)


def _adapter_of(entry: Entry) -> str:
    """The name of the adapter that the file is of; empty for the base's."""
    folder, _, rest = entry.path.partition("/")
    return rest.partition("/")[0] if folder == ADAPTERS_FOLDER else ""


def config_of(layers: tuple[Layer, ...]) -> Text:
    """An image without a command: its layers are all that it is for."""
    return _text(
        {
            **PLATFORM,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            "history": [{"created_by": f"olive-operator {layer.title}"} for layer in layers],
        }
    )


def manifest_of(version: Version, config: Text, layers: tuple[Layer, ...]) -> Text:
    """The manifest; layers have titles, as ORAS pulls those alone that have one."""
    named = {CONTENT: version.content, JOB: version.origin.job}
    if version.origin.model.license:
        named[LICENSES] = version.origin.model.license
    return _text(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [
                {**_descriptor(LAYER, layer), "annotations": {TITLE: layer.title}}
                for layer in layers
            ],
            "annotations": named,
        }
    )


def _text(body: Any) -> Text:
    return Text(canonical(body).encode())


def _descriptor(media_type: str, blob: Blob) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
