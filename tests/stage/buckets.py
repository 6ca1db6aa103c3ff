"""Object stores on localhost: moto's S3 server, which checks who asks, and Azurite."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from azure.storage.blob import BlobServiceClient
from botocore.config import Config
from lab import REPOSITORY
from moto.server import ThreadedMotoServer

AZURITE = "3.37.0"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (  # Azurite's own, known to everybody
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
READER = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}],
}


@dataclass(frozen=True)
class Shop:
    """An object store: its scheme, a reader's environment, and how to put objects into it."""

    scheme: str
    environment: dict[str, str]
    client: Any

    def put(self, bucket: str, files: Mapping[str, bytes]) -> None:
        if self.scheme == "az":
            container = self.client.create_container(bucket)
            for name, body in files.items():
                container.upload_blob(name, body)
            return
        check_who_asks(self.environment["AWS_ENDPOINT_URL"], "inf")
        place = {"LocationConstraint": self.environment["AWS_REGION"]}
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        for name, body in files.items():
            self.client.put_object(Bucket=bucket, Key=name, Body=body)
        check_who_asks(self.environment["AWS_ENDPOINT_URL"], "0")


def check_who_asks(address: str, after: str) -> None:
    """From so many requests on, moto's server checks credentials and policies."""
    url, plain = f"{address}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    requests.post(url, data=after, headers=plain, timeout=10).raise_for_status()


@contextmanager
def s3() -> Iterator[Shop]:
    """S3 that refuses whom it does not know: the environment is that of a user who may read."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    root = {
        "endpoint_url": address,
        "region_name": "eu-central-1",
        "aws_access_key_id": "root",
        "aws_secret_access_key": "root",
    }
    iam = boto3.client("iam", **root)
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(READER))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    path = Config(s3={"addressing_style": "path"})
    try:
        yield Shop("s3", environment, boto3.client("s3", config=path, **root))
    finally:
        server.stop()


@contextmanager
def azure(folder: Path) -> Iterator[Shop]:
    """Azurite, installed below .build when it is not there; a skip where there is no npm."""
    home = REPOSITORY / ".build" / "azurite"
    program = home / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        if not shutil.which("npm"):
            pytest.skip("this machine has no npm to install Azurite with")
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", home]
        subprocess.run([*command, f"azurite@{AZURITE}"], check=True, capture_output=True)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [
            program,
            "--blobPort",
            str(port),
            "--location",
            folder,
            "--silent",
            "--disableTelemetry",
            "--skipApiVersionCheck",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, "Azurite ended"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        environment = {"AZURE_STORAGE_CONNECTION_STRING": connection}
        yield Shop("az", environment, BlobServiceClient.from_connection_string(connection))
    finally:
        process.kill()  # told to terminate, it waits for connections
        process.wait()
