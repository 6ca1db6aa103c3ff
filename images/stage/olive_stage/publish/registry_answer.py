"""What a registry, or a place for tokens, answers: read as far as such an answer goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.address import shown

MOST = 4 << 20
"""Bytes, unpacked: no registry takes a larger manifest."""
PIECE = 1 << 16


@dataclass(frozen=True)
class Answer:
    """As requests has it, with all of its body."""

    status_code: int
    headers: Mapping[str, str]
    url: str
    content: bytes
    is_redirect: bool


def answer_to(session: requests.Session, method: str, url: str, **how: Any) -> Answer:
    """The answer, of a redirect that itself; RequestException if there is none."""
    with session.request(method, url, stream=True, allow_redirects=False, **how) as found:
        content = bytearray()
        for piece in found.iter_content(PIECE):
            content += piece
            if len(content) > MOST:
                raise StageFailure(
                    FailureClass.STAGE_ERROR, f"{shown(url)} answers more than a registry does"
                )
        return Answer(
            found.status_code, found.headers, found.url, bytes(content), found.is_redirect
        )
