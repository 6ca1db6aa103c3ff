"""One file behind an https address."""

from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin

import requests

from olive_contract.artifact import File
from olive_contract.failures import FailureClass, StageFailure
from olive_stage.copying import Meter, write
from olive_stage.source import Web, may_read, shown
from olive_stage.work import invalid

TIMEOUT_SECONDS = 60.0
"""Without a byte, not for the whole transfer."""

REDIRECTS = 5
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
        with requests.Session() as session:
            try:
                answer = self.follow(session)
            except requests.RequestException as error:  # its text may hold the whole address
                raise StageFailure(
                    FailureClass.STAGE_ERROR,
                    f"{self.source} cannot be reached ({type(error).__name__})",
                ) from None
            self.check(answer)
            length = int(answer.headers.get("Content-Length") or 0)
            answer.raw.decode_content = True
            return (write(cast(Any, answer.raw), out, FILE, Meter(length)),)

    def follow(self, session: requests.Session) -> requests.Response:
        """The first answer that is no redirect; an address that is not https is never asked."""
        url = self.source.url
        for _ in range(REDIRECTS):
            if not may_read(url):
                raise invalid(f"{self.source} leads to {shown(url)}, which is not https")
            answer = session.get(url, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            if not answer.is_redirect:
                return answer
            url = urljoin(url, answer.headers["Location"])
        raise invalid(f"{self.source} is redirected more than {REDIRECTS} times")

    def check(self, answer: requests.Response) -> None:
        """A StageFailure in words unless the file is being sent."""
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
