"""One repository of an OCI registry: requests with its login, and its refusals in words.

A login is shown to the registry alone, wherever it sends us. It may ask us to wait, for a while.
"""

import json
import re
import time
from urllib.parse import urljoin

import requests

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.console import say
from olive_stage.publish.registry_answer import Answer, answer_to
from olive_stage.publish.registry_login import (
    Authorization,
    as_it_is,
    is_local,
    is_safe,
    same_origin,
)
from olive_stage.words import plain
from olive_stage.work import invalid

TIMEOUT_SECONDS = 60.0
"""Without a byte, not for the whole answer."""
REDIRECTS = 5
WAITS = 5
LONGEST_WAIT_SECONDS = 60
API_HOSTS = {"docker.io": "registry-1.docker.io"}


class Interrupted(StageFailure):
    """The connection broke or the registry failed: what was under way may go on."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureClass.STAGE_ERROR, message)


class Registry:
    """The repository ``path`` on ``host``; close it at the end."""

    def __init__(self, host: str, path: str) -> None:
        self.host, self.path = host, path
        scheme = "http" if is_local(host) else "https"
        self.base = f"{scheme}://{API_HOSTS.get(host, host)}/v2/{path}/"
        self.session = requests.Session()
        self.session.headers["User-Agent"] = "olive-operator"
        self.authorization = Authorization(host, path, self.session)

    def close(self) -> None:
        """End its connections."""
        self.session.close()

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    def ask(
        self,
        method: str,
        address: str,
        *fine: int,
        body: bytes = b"",
        timeout: float = TIMEOUT_SECONDS,
        **headers: str,
    ) -> Answer:
        """The answer, whose status is one of ``fine``; a StageFailure in words for any other.

        ``address`` may be relative; ``Content_Type`` as an argument means Content-Type.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = joined(self.base, address)
        for _ in range(REDIRECTS):
            answer = self._patiently(method, url, body, named, timeout)
            if answer.status_code in fine:
                return answer
            if not answer.is_redirect or (body and answer.status_code not in (307, 308)):
                raise self._refusal(answer)
            url = joined(url, answer.headers["Location"])
        raise StageFailure(
            FailureClass.STAGE_ERROR, f"{self} redirects more than {REDIRECTS} times"
        )

    def _patiently(
        self, method: str, url: str, body: bytes, headers: dict[str, str], timeout: float
    ) -> Answer:
        """An answer after logging in, and after waiting where the registry asks for it."""
        challenged = False
        for _ in range(WAITS):
            answer = self._send(method, url, body, headers, timeout)
            if answer.status_code == 401 and not challenged and self._is_own(url):
                challenged = True
                self.authorization.meet(answer.headers.get("WWW-Authenticate", ""))
            elif answer.status_code == 429 and (wait := _asked_to_wait(answer)) is not None:
                say(f"{self.host} asks to wait for {wait} s")
                time.sleep(wait)
            else:
                break
        return answer

    def _send(
        self, method: str, url: str, body: bytes, headers: dict[str, str], timeout: float
    ) -> Answer:
        if not is_safe(url, self.host):
            raise invalid(f"{self} leads to an address that is not https")
        own = self.authorization.fresh() if self._is_own(url) else ""
        try:
            return answer_to(
                self.session,
                method,
                url,
                data=body,
                headers={**headers, **({"Authorization": own} if own else {})},
                auth=as_it_is,
                timeout=timeout,
            )
        except (requests.RequestException, ValueError) as error:  # may hold a signed address
            raise Interrupted(
                f"{self.host} cannot be reached, or broke off ({type(error).__name__})"
            ) from None

    def _is_own(self, url: str) -> bool:
        """Whether the address is the registry's, which a login may be shown to."""
        return same_origin(url, self.base)

    def _refusal(self, answer: Answer) -> StageFailure:
        status, codes = answer.status_code, _codes(answer)
        if status in (401, 403) and self._is_own(answer.url):
            return self.authorization.refused(status)
        if status == 416 or status >= 500 or "BLOB_UPLOAD_" in codes:
            return Interrupted(f"{self.host} answered {status}{codes}")
        if status == 429:
            return StageFailure(
                FailureClass.STAGE_ERROR, f"{self.host} throttles (429); later it may go on"
            )
        if status == 413:
            return invalid(
                f"{self.host} answered 413: it, or a proxy before it, takes no request of this "
                "size; raise the limit there"
            )
        if status == 404 and ("NAME_UNKNOWN" in codes or not codes):
            return invalid(
                f"{self.host} has no repository {self.path} (404), and makes none when pushed to; "
                "make it first"
            )
        if "NAME_INVALID" in codes or "TAG_INVALID" in codes:
            return invalid(f"{self} is no name that {self.host} takes ({status}{codes})")
        return StageFailure(
            FailureClass.STAGE_ERROR, f"{self.host} refused a part of {self} ({status}{codes})"
        )


def joined(url: str, address: str) -> str:
    """The address as seen from ``url``; as it is if it is none, so that it is not safe either."""
    try:
        return urljoin(url, address)
    except ValueError:
        return address


def _asked_to_wait(answer: Answer) -> int | None:
    """Seconds that the registry asks for, if that is not too long."""
    asked = answer.headers.get("Retry-After", "")
    wait = int(asked) if re.fullmatch(r"\d{1,5}", asked) else 1
    return wait if wait <= LONGEST_WAIT_SECONDS else None


def _codes(answer: Answer) -> str:
    """The specification's error codes that the answer names, as `` CODE, CODE``."""
    try:
        found = [str(error["code"]) for error in json.loads(answer.content)["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " " + plain(", ".join(found)) if found else ""
