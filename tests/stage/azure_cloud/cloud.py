"""A cloud for tests: control plane and blob storage behind one wire, and how clients find it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import blobs
import control_plane
import wire
from azure.storage.blob import BlobServiceClient
from certificates import Certificate, issue
from control_plane import ControlPlane
from entra import CLIENT, SECRET, SERVICE_ACCOUNT_TOKEN, TENANT, Entra
from resources import CONTAINER, Resources, Storage

DOMAIN = "azure.test"
MANAGER, LOGIN, REGION = (f"https://{name}.{DOMAIN}" for name in ("management", "login", "region"))
SUFFIX = f"core.{DOMAIN}"
BLOBS = f"blob.{SUFFIX}"


@dataclass
class Cloud:
    """The stand-ins and the environment of a client that is to use them."""

    plane: ControlPlane
    wire: wire.Wire
    storage: BlobServiceClient
    environment: dict[str, str]
    projected: Path
    """The token file that workload identity federation reads."""

    def with_secret(self) -> dict[str, str]:
        """The environment of a service principal that has a secret."""
        return {**self.environment, **self._client(), "AZURE_CLIENT_SECRET": SECRET}

    def federated(self) -> dict[str, str]:
        """The environment that the webhook of workload identity gives to a pod."""
        file = {"AZURE_FEDERATED_TOKEN_FILE": str(self.projected)}
        return {**self.environment, **self._client(), **file}

    def _client(self) -> dict[str, str]:
        return {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": TENANT}


@contextmanager
def cloud(folder: Path, at: str = "127.0.0.1") -> Iterator[Cloud]:
    """All of it, until the end of the context; clients come to this address of the machine."""
    certificate = issue(folder, f"*.{DOMAIN}", f"*.{BLOBS}", "login.microsoftonline.com")
    projected = folder / "azure-identity-token"
    projected.write_text(SERVICE_ACCOUNT_TOKEN)
    with (
        blobs.serving(folder, certificate) as blob_port,
        wire.strung({BLOBS: blob_port}, at) as line,
    ):
        proxies = {"https": line.address}
        service = BlobServiceClient(
            f"https://{blobs.ACCOUNT}.{BLOBS}",
            credential=blobs.KEY,
            proxies=proxies,
            connection_verify=str(certificate.authority),
        )
        plane = _plane(service)
        with control_plane.serving(plane, certificate) as port:
            line.ports |= {DOMAIN: port, "login.microsoftonline.com": port}
            blobs.make_container(service, CONTAINER)
            yield Cloud(plane, line, service, _environment(line, certificate), projected)


def _plane(service: BlobServiceClient) -> ControlPlane:
    storage = Storage(
        blobs.ACCOUNT,
        SUFFIX,
        blobs.KEY,
        lambda name: blobs.make_container(service, name),
        lambda container, permissions: blobs.signed(service, container, permissions),
    )
    authentication = {"loginEndpoint": f"{LOGIN}/", "audiences": [f"{MANAGER}/"]}
    metadata = {"name": "StandIn", "portal": f"https://portal.{DOMAIN}/"}
    metadata |= {"resourceManager": f"{MANAGER}/"}
    more = {"authentication": authentication, "suffixes": {"storage": SUFFIX}}
    return ControlPlane(
        MANAGER, [{**metadata, **more}], Entra(LOGIN), Resources(MANAGER, REGION, storage)
    )


def _environment(line: wire.Wire, certificate: Certificate) -> dict[str, str]:
    """What a process needs so that all its names end here and nowhere else."""
    authority = str(certificate.authority)
    return {
        "https_proxy": line.address,
        "no_proxy": "",
        "REQUESTS_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
        "ARM_CLOUD_METADATA_URL": f"{MANAGER}/metadata/endpoints?api-version=2022-09-01",
        "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{REGION}/",
        "AZURE_AUTHORITY_HOST": f"{LOGIN}/",
    }
