"""Getting at a bucket or container by fsspec, and its refusals in words.

Credentials are the environment's, by the names that the vendors' own tools read; without any, the
source is read as anybody may. Nothing asks the node for its identity. What a library says of a
refusal is not repeated: it may hold what was signed, and with what.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.failing import FULL
from olive_stage.source import Bucket
from olive_stage.words import some

IDENTITY = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_FEDERATED_TOKEN_FILE",
    ),
}
"""Variables that say who asks, by scheme."""

KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "az": "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN",
}
"""The keys of a Secret that give them."""

REFUSALS = ("NoCredentialsError", "PartialCredentialsError", "ClientAuthenticationError")
FORBIDDEN = (401, 403)


def file_system(scheme: str) -> Any:
    """The bucket's or container's files; nothing is remembered of what was listed."""
    fresh = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "az":
        from adlfs import AzureBlobFileSystem

        return AzureBlobFileSystem(anon=_nobody(IDENTITY["az"]), **fresh)
    from s3fs import S3FileSystem

    endpoint = os.environ.get("AWS_ENDPOINT_URL") or None
    return S3FileSystem(
        anon=_nobody(IDENTITY["s3"]),
        endpoint_url=endpoint,
        client_kwargs={"region_name": os.environ.get("AWS_REGION") or None},
        # servers inside companies seldom have a name in DNS for every bucket
        config_kwargs={"s3": {"addressing_style": "path"}} if endpoint else {},
        **fresh,
    )


def _nobody(identity: tuple[str, ...]) -> bool:
    """Whether the environment holds none of these."""
    return not any(os.environ.get(name) for name in identity)


@contextmanager
def said_in_words(source: Bucket) -> Iterator[None]:
    """The store's refusals as failures that say what to do, and repeat none of its words."""
    try:
        yield
    except StageFailure:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise  # it is our own disk
        raise _failure(source, error) from None


def _failure(source: Bucket, error: Exception) -> StageFailure:
    kind, names = type(error).__name__, "AWS_*" if source.scheme == "s3" else "AZURE_STORAGE_*"
    status = getattr(error, "status_code", None)
    refused = isinstance(error, PermissionError) or kind in REFUSALS or status in FORBIDDEN
    unnamed = source.scheme == "az" and isinstance(error, ValueError)  # not even the account
    if (refused or unnamed) and _nobody(IDENTITY[source.scheme]):
        return StageFailure(
            FailureClass.AUTH_DENIED,
            f"{source} may not be read by anybody ({kind}), and no credentials were given: the "
            f"Secret does not exist or has none of the keys {KEYS[source.scheme]}; make it, and "
            "name it by secretRef",
        )
    if refused:
        return StageFailure(
            FailureClass.AUTH_DENIED,
            f"{source} may not be read with the credentials given ({kind}); check the keys "
            f"{names} of the Secret that secretRef names, and that they may list and read",
        )
    if isinstance(error, FileNotFoundError) or status == 404:
        return StageFailure(
            FailureClass.SOURCE_NOT_FOUND, f"{source} is not there; {_beside(source)}"
        )
    if isinstance(error, ValueError):
        return StageFailure(
            FailureClass.AUTH_DENIED,
            f"the credentials for {source} cannot be used ({kind}); check the keys {names} of the "
            "Secret that secretRef names",
        )
    return StageFailure(
        FailureClass.STAGE_ERROR, f"the store failed for {source} ({kind}); it may be unreachable"
    )


def _beside(source: Bucket) -> str:
    """What is in the folder that the source would be in, as far as that can be seen."""
    folder = f"{source.bucket}/{source.path}".rpartition("/")[0]
    try:
        entries = file_system(source.scheme).ls(folder, detail=False)
    except Exception:
        return f"neither is {source.scheme}://{folder}"
    return f"beside it: {some([str(entry).rsplit('/', 1)[-1] for entry in entries])}"
