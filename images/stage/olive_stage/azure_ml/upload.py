"""Files into a container: checked piece by piece on arrival, and gone on with where it was cut.

A block's name holds the hash of what it carries: what an earlier attempt has sent is known for what
it is. A blob is there once all its blocks are put together, and then says its SHA-256.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.azure_ml.refusals import said_in_words
from olive_stage.azure_ml.storage import Storage
from olive_stage.console import say
from olive_stage.copying import Meter
from olive_stage.parallel import each
from olive_stage.publish.version import Entry, Version
from olive_stage.words import readable

PIECE: Final = 8 << 20
MOST_PIECES: Final = 50_000
"""Blocks of a blob, at most."""
HASH: Final = 48
"""Hexadecimal digits of a piece's hash: a block's name has 64 characters at most."""
SHA256: Final = "sha256"


def upload(storage: Storage, version: Version) -> None:
    """Every file of the version below the storage's path; those that are there stay."""
    meter = Meter(version.size)
    container = storage.client
    sent = 0

    def put(entry: Entry) -> int:
        blob = container.get_blob_client(f"{storage.path}/{entry.path}")
        with said_in_words(f"{entry.path} of the version"):
            return 0 if _is_there(blob, entry) else _send(blob, entry, meter)

    with container:
        for size in each(version.files, put, lambda: meter.reach(meter.done)):
            sent += size
    say(f"{readable(sent)} of {readable(version.size)} were sent; the rest was there")


def _is_there(blob: BlobClient, entry: Entry) -> bool:
    try:
        found = blob.get_blob_properties()
    except ResourceNotFoundError:
        return False
    return found.size == entry.size and (found.metadata or {}).get(SHA256) == entry.sha256


def _send(blob: BlobClient, entry: Entry, meter: Meter) -> int:
    """The bytes that were sent: all but the blocks that an earlier attempt has left."""
    staged, names, sent = _staged(blob), [], 0
    whole, digest = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for number, piece in enumerate(_pieces(entry)):
        whole.update(piece)
        digest.update(piece)
        name = f"{number:06d}-{hashlib.sha256(piece).hexdigest()[:HASH]}"
        if name not in staged:
            blob.stage_block(name, piece, validate_content=True)
            sent += len(piece)
        names.append(name)
        meter.add(len(piece))
    if whole.hexdigest() != entry.sha256:
        raise StageFailure(
            FailureClass.STAGE_ERROR, f"{entry.path} is not what the store's record says it is"
        )
    blob.commit_block_list(
        [BlobBlock(block_id=name) for name in names],
        content_settings=ContentSettings(content_md5=bytearray(digest.digest())),
        metadata={SHA256: entry.sha256},
    )
    return sent


def _staged(blob: BlobClient) -> set[str]:
    try:
        return {block.id for block in blob.get_block_list("uncommitted")[1]}
    except ResourceNotFoundError:
        return set()


def _pieces(entry: Entry) -> Iterator[bytes]:
    size = max(PIECE, -(-entry.size // MOST_PIECES))
    with entry.file.open("rb") as stream:
        while piece := stream.read(size):
            yield piece
