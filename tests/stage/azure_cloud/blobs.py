"""Blob storage: Azurite over HTTPS, which checks keys, signatures and tokens as Azure does."""

import base64
import datetime
import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from certificates import Certificate

AZURITE = "3.37.0"
ACCOUNT = "mlaccount"
KEY = base64.b64encode(b"the key of the account").decode()
HOME = Path(__file__).resolve().parents[3] / ".build" / "azurite"


def program() -> Path:
    """Azurite, installed below .build when it is not there; a skip where there is no npm."""
    found = HOME / "node_modules" / ".bin" / "azurite-blob"
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            if not shutil.which("npm"):
                pytest.skip("this machine has no npm to install Azurite with")
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(HOME)]
            subprocess.run([*command, f"azurite@{AZURITE}"], check=True, capture_output=True)
    return found


@contextmanager
def serving(folder: Path, certificate: Certificate) -> Iterator[int]:
    """Azurite on a port of its own, with one account."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command: list[str | Path] = [program(), "--blobPort", str(port), "--location", folder]
    command += ["--cert", certificate.chain, "--key", certificate.key, "--oauth", "basic"]
    command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, "Azurite ended"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.kill()  # told to terminate, it waits for connections
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_container(service: BlobServiceClient, name: str) -> None:
    """A container, unless it is there."""
    try:
        service.create_container(name)
    except ResourceExistsError:
        return


def signed(service: BlobServiceClient, container: str, permissions: str) -> str:
    """The container's URL with a signature that holds for an hour."""
    now = datetime.datetime.now(datetime.UTC)
    signature = generate_container_sas(
        ACCOUNT,
        container,
        account_key=KEY,
        permission=ContainerSasPermissions.from_string(permissions),
        start=now - datetime.timedelta(minutes=5),
        expiry=now + datetime.timedelta(hours=1),
    )
    return f"{service.url.rstrip('/')}/{container}?{signature}"
