"""The environment that a fetch pod gets from a source's Secret. The operator never reads one."""

from collections.abc import Iterator
from typing import Final

from olive_operator.build.pod import Manifest

_VARIABLES: Final = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
    ),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CONNECTION_STRING",
    ),
}
"""By scheme: keys of the Secret and variables at once. Which are needed, only the store knows."""


def credentials(source: str, secret: str) -> Iterator[Manifest]:
    """Variables of the container that fetches ``source``; none for schemes without credentials."""
    scheme = source.partition("://")[0]
    if scheme == "hf":
        yield _variable("HF_TOKEN", {"name": secret, "key": "token"})
    for name in _VARIABLES.get(scheme, ()):
        yield _variable(name, {"name": secret, "key": name, "optional": True})


def _variable(name: str, reference: Manifest) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
