"""One file behind an https address; a transfer that broke off goes on where it stopped.

What came so far is kept on the volume beside the validator (ETag or date) that the server gave it;
the rest is asked for by Range, and only taken if the validator still holds.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urljoin

import requests
import urllib3

from olive_contract.artifact import File, sha256_of
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import content_key
from olive_contract.store import Store
from olive_stage.address import is_machine_own, may_read, shown
from olive_stage.copying import CHUNK, Meter, move
from olive_stage.resumable import resumable
from olive_stage.room import Need, make_room
from olive_stage.rows import FILE_LIMIT, too_large
from olive_stage.source import Web
from olive_stage.words import plain, readable
from olive_stage.work import invalid

TIMEOUT_SECONDS = 60.0
"""Without a byte, not for the whole transfer."""

REDIRECTS = 5
FILE = "download"
VALIDATOR = "validator.json"


class WebOrigin:
    """What an address answers with."""

    def __init__(self, source: Web, store: Store, need: Need) -> None:
        self.source, self.store, self.need = source, store, need
        self.known: dict[str, object] = {}

    def commit(self) -> str:
        """Empty: only reading tells what the file holds."""
        return ""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Download the file; a transfer that ends early is an error, worth another attempt."""
        with resumable(self.store, content_key("data", self.source.url), out) as scratch:
            self.download(scratch)
            move(scratch / FILE, out, FILE)
        return (File(FILE, (out / FILE).stat().st_size, sha256_of(out / FILE)),)

    def download(self, scratch: Path) -> None:
        """The file in ``scratch``, or its rest after what is there, if that can be had."""
        with requests.Session() as session:
            try:
                answer = self.follow(session, asked_on(scratch))
                if answer.status_code == requests.codes.requested_range_not_satisfiable:
                    (scratch / FILE).unlink(missing_ok=True)  # there is no rest: it may be whole
                    answer = self.follow(session, asked_on(scratch))
            except requests.RequestException as error:  # its text may hold the whole address
                raise StageFailure(
                    FailureClass.STAGE_ERROR,
                    f"{self.source} cannot be reached ({type(error).__name__})",
                ) from None
            except ValueError:
                raise invalid(f"{self.source} leads to what is no address") from None
            self.check(answer)
            self.receive(answer, scratch)

    def follow(self, session: requests.Session, headers: dict[str, str]) -> requests.Response:
        """The first answer that is no redirect; an address that is not https is never asked."""
        url = self.source.url
        for _ in range(REDIRECTS):
            if not may_read(url):
                raise invalid(f"{self.source} leads to {shown(url)}, which is not https")
            if is_machine_own(url):
                raise invalid(
                    f"{self.source} leads to {shown(url)}, an address of the node or of this pod"
                )
            answer = session.get(
                url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
            if not answer.is_redirect:
                return answer
            url = urljoin(url, answer.headers["Location"])
        raise invalid(f"{self.source} is redirected more than {REDIRECTS} times")

    def check(self, answer: requests.Response) -> None:
        """A StageFailure in words unless the file is being sent, as it is."""
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
        if code not in (requests.codes.ok, requests.codes.partial):
            raise StageFailure(
                FailureClass.STAGE_ERROR, f"{self.source} answered {code} {answer.reason}"
            )
        if (coding := answer.headers.get("Content-Encoding", "identity")) != "identity":
            raise invalid(
                f"{self.source} sends the file packed ({coding}) though asked for it as it is; "
                "what it unpacks to has no bounds: give the address of the plain file"
            )

    def receive(self, answer: requests.Response, scratch: Path) -> None:
        """The answer's bytes into ``scratch``: after those that are there, if it is their rest."""
        part = scratch / FILE
        goes_on = answer.status_code == requests.codes.partial
        there = part.stat().st_size if goes_on and part.exists() else 0
        if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
            part.unlink(missing_ok=True)
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"{self.source} sent another part than the one asked for; the next attempt reads "
                "it from the beginning",
            )
        total = there + length_of(answer)
        if total > FILE_LIMIT:
            raise too_large(str(self.source), total)
        make_room(scratch, self.need, total, there)
        self.known = {"etag": plain(answer.headers.get("ETag", ""))}
        if not goes_on:  # before the validator, which must not come to stand beside another's part
            part.unlink(missing_ok=True)
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        (scratch / VALIDATOR).write_text(json.dumps("" if validator[:2] == "W/" else validator))
        meter = Meter(total)
        meter.done = there
        raw = cast(BinaryIO, cast(Any, answer.raw))
        with part.open("ab") as file:
            for chunk in iter(lambda: self.read(raw, meter), b""):
                file.write(chunk)
                meter.add(len(chunk))
                if meter.done > FILE_LIMIT:
                    part.unlink()
                    raise too_large(str(self.source), meter.done)

    def read(self, raw: BinaryIO, meter: Meter) -> bytes:
        """The next bytes of the answer; StageError if the connection broke before its end."""
        try:
            return raw.read(CHUNK)
        except urllib3.exceptions.HTTPError as error:
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"{self.source} broke off after {readable(meter.done)} "
                f"({type(error).__name__}); the next attempt goes on there, if the server can",
            ) from None


def asked_on(scratch: Path) -> dict[str, str]:
    """The headers that ask for what is not in ``scratch`` yet, unpacked."""
    headers = {"Accept-Encoding": "identity"}
    try:
        there = (scratch / FILE).stat().st_size
        validator = json.loads((scratch / VALIDATOR).read_text())
    except (FileNotFoundError, ValueError):
        return headers
    if there and validator:
        headers |= {"Range": f"bytes={there}-", "If-Range": validator}
    return headers


def length_of(answer: requests.Response) -> int:
    """What the answer says of its length; 0 if nothing that can be read."""
    said = answer.headers.get("Content-Length", "")
    return int(said) if said.isdecimal() and len(said) < 20 else 0
