"""publish to an OCI registry: an image of data alone, which Kubernetes mounts and ORAS pulls.

The base, each adapter and the documents are a layer each, so that a version that has one adapter
more brings that one. What the manifest says of its content decides whether it is there already.
"""

import json
import re
from collections.abc import Callable
from contextlib import closing

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import OCI
from olive_contract.stage import Published
from olive_stage.console import say
from olive_stage.copying import Meter
from olive_stage.publish.blob_upload import Blob, upload
from olive_stage.publish.image import (
    CONTENT,
    MANIFEST,
    Text,
    config_of,
    layers_of,
    manifest_of,
)
from olive_stage.publish.registry_client import Registry
from olive_stage.publish.version import Version
from olive_stage.work import invalid

OTHERS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""What else a tag may name."""
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?P<host>(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?)/"
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*):(?P<tag>\w[\w.-]{{0,127}})",
    re.ASCII,
)


class OCIRepository:
    """A tag of a repository, and the manifests that it names one after the other."""

    def __init__(self, target: OCI) -> None:
        match = _REFERENCE.fullmatch(target.reference)
        if not match:
            raise invalid(
                f"oci.reference {target.reference!r} is not HOST[:PORT]/PATH:TAG, with a path of "
                "lower-case letters, digits and separators"
            )
        self.host, self.path, self.tag = match["host"], match["path"], match["tag"]

    def publish(self, version: Version) -> Published:
        """The image of this content that the tag names, pushed first if it names another."""
        with closing(Registry(self.host, self.path)) as registry:
            found, content = self._tagged(registry)
            if content == version.content:
                say(f"the registry has this content as {found}")
                return self._published(found)
            if found:
                say(f"{self.tag} has named {found} until now")
            return self._published(self._push(registry, version))

    def _published(self, digest: str) -> Published:
        return Published(f"{self.host}/{self.path}@{digest}")

    def _tagged(self, registry: Registry) -> tuple[str, str]:
        """The digest of what the tag names, and what that says of its content."""
        accept = ", ".join((MANIFEST, *OTHERS))
        answer = registry.ask("GET", f"manifests/{self.tag}", 200, 404, Accept=accept)
        if answer.status_code == 404:
            return "", ""
        try:
            annotations = json.loads(answer.content).get("annotations") or {}
            return Text(answer.content).digest, str(annotations.get(CONTENT, ""))
        except (ValueError, AttributeError, RecursionError):
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"what answers at {self.host} is no registry: its manifest has no sense",
            ) from None

    def _push(self, registry: Registry, version: Version) -> str:
        """The digest of the manifest: by it, and then by the tag, once all else is there."""
        layers = tuple(layers_of(version))
        config = config_of(layers)
        manifest = manifest_of(version, config, layers)
        blobs: tuple[Blob, ...] = (*layers, config)
        meter, before = Meter(sum(blob.size for blob in blobs)), 0
        for blob in blobs:
            upload(registry, blob, _after(before, meter))
            before += blob.size
        for name in (manifest.digest, self.tag):
            answer = registry.ask(
                "PUT", f"manifests/{name}", 201, body=manifest.content, Content_Type=MANIFEST
            )
            if answer.headers.get("Docker-Content-Digest", manifest.digest) != manifest.digest:
                raise StageFailure(
                    FailureClass.STAGE_ERROR, f"{self.host} has kept another manifest than was sent"
                )
        return manifest.digest


def _after(before: int, meter: Meter) -> Callable[[int], None]:
    return lambda there: meter.reach(before + there)
