"""A blob to a registry, in chunks; after a cut it goes on where the registry says that it stopped.

A registry that cannot say so is sent the whole blob again. What it has already is not sent at all.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.console import say
from olive_stage.publish.registry_answer import Answer
from olive_stage.publish.registry_client import Interrupted, Registry, joined

CHUNK = 16 << 20
TRIES = 5
"""Interruptions in a row without a byte more."""
CLOSING_SECONDS = 900.0
"""For a registry that reads the whole blob once more before it answers."""


class Blob(Protocol):
    """Bytes that can be read from anywhere on, again and again."""

    @property
    def digest(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, offset: int = 0) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Upload:
    """Where the registry takes the rest, and how many bytes it has."""

    address: str
    there: int = 0


def upload(registry: Registry, blob: Blob, reached: Callable[[int], None]) -> None:
    """See to it that the registry has the blob; ``reached`` is told how many bytes it has."""
    under_way: Upload | None = None
    furthest = failures = 0
    while True:
        try:
            if _has(registry, blob):
                break
            begun = _where(registry, under_way) if under_way else _begin(registry)
            under_way = begun
            for under_way in _sent(registry, blob, begun):
                reached(under_way.there)
                if under_way.there > furthest:
                    furthest, failures = under_way.there, 0
            _close(registry, blob, under_way)
            break
        except Interrupted as cut:
            failures += 1
            if failures > TRIES:
                raise
            say(f"{cut}; trying to go on")
            time.sleep(2 ** (failures - 1))  # a registry may yet be busy with what came last
    reached(blob.size)


def _has(registry: Registry, blob: Blob) -> bool:
    """A redirect is to where the blob is kept: only one that is there has such a place."""
    answer = registry.ask("HEAD", f"blobs/{blob.digest}", 200, 302, 307, 308, 404)
    return answer.status_code != 404


def _begin(registry: Registry) -> Upload:
    return _taken(registry.ask("POST", "blobs/uploads/", 202))


def _where(registry: Registry, begun: Upload) -> Upload:
    """The upload as the registry has it now; a new one if it does not know or say."""
    answer = registry.ask("GET", begun.address, 200, 204, 400, 404, 405)
    if answer.status_code >= 400 or "Range" not in answer.headers:
        return _begin(registry)
    return _taken(answer, begun.address)


def _sent(registry: Registry, blob: Blob, begun: Upload) -> Iterator[Upload]:
    """The upload after each chunk, until the registry has all."""
    while begun.there < blob.size:
        for chunk in _chunks(blob.read(begun.there)):
            start, end = begun.there, begun.there + len(chunk)
            answer = registry.ask(
                "PATCH",
                begun.address,
                202,
                body=chunk,
                Content_Type="application/octet-stream",
                Content_Range=f"{start}-{end - 1}",
            )
            begun = _taken(answer, begun.address, end)
            if begun.there <= start:
                raise Interrupted(f"{registry.host} took nothing of a chunk")
            yield begun
            if begun.there != end:
                break  # it took a part: the rest is read anew


def _close(registry: Registry, blob: Blob, begun: Upload) -> None:
    address = begun.address + ("&" if "?" in begun.address else "?")
    answer = registry.ask(
        "PUT", address + urlencode({"digest": blob.digest}), 201, timeout=CLOSING_SECONDS
    )
    if answer.headers.get("Docker-Content-Digest", blob.digest) != blob.digest:
        raise StageFailure(
            FailureClass.STAGE_ERROR, f"{registry.host} has kept another blob than the one sent"
        )


def _taken(answer: Answer, address: str = "", otherwise: int = 0) -> Upload:
    """What the answer says of an upload; ``otherwise`` if it tells no Range."""
    address = joined(answer.url, answer.headers.get("Location", address))
    match = re.fullmatch(r"(?:bytes=)?0-(\d{1,19})", answer.headers.get("Range", ""))
    if not match:
        return Upload(address, otherwise)
    return Upload(address, int(match[1]) + 1 if match[1] != "0" else 0)  # 0-0 is how none is told


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks that are worth a request each."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
    if held:
        yield bytes(held)
