"""One file behind an https address."""

from pathlib import Path
from typing import Any, cast

import requests

from olive_contract.artifact import File
from olive_contract.failures import FailureClass, StageFailure
from olive_stage.copying import Meter, write
from olive_stage.source import Web, may_read
from olive_stage.work import invalid

TIMEOUT_SECONDS = 60.0
"""Without a byte, not for the whole transfer."""

FILE = "download"


class WebOrigin:
    """What an address answers with."""

    def __init__(self, source: Web) -> None:
        self.source = source

    def commit(self) -> str:
        """Empty: only reading tells what the file holds."""
        return ""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Download the file; a transfer that ends early is an error."""
        with requests.get(self.source.url, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            self.check(answer)
            length = int(answer.headers.get("Content-Length") or 0)
            answer.raw.decode_content = True
            file = write(cast(Any, answer.raw), out, FILE, Meter(length))
            return (file,)

    def check(self, answer: requests.Response) -> None:
        """A StageFailure in words unless the file is being sent, over https all the way."""
        if insecure := [r.url for r in [*answer.history, answer] if not may_read(r.url)]:
            raise invalid(f"{self.source} leads to {insecure[0]}, which is not https")
        code = answer.status_code
        if code in (401, 403):
            raise StageFailure(
                FailureClass.AUTH_DENIED,
                f"{self.source} answered {code}: it needs a login; give an address that can be "
                "read without one (a signed URL), or put the file on a claim",
            )
        if code in (404, 410):
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND, f"{self.source} answered {code}: nothing is there"
            )
        if not answer.ok:
            raise StageFailure(
                FailureClass.STAGE_ERROR, f"{self.source} answered {code} {answer.reason}"
            )
