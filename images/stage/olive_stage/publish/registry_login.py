"""Who a registry is told that we are: by a password, or by tokens that run out.

Passwords go to the realm that the registry names, and to the registry itself, and nowhere else.
"""

import base64
import ipaddress
import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

import requests

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.address import shown
from olive_stage.publish.docker_config import denied, login_of
from olive_stage.publish.registry_answer import Answer, answer_to
from olive_stage.words import plain

TIMEOUT_SECONDS = 60.0
LIFE_SECONDS = 60
"""Of a token that does not say."""
USED = 0.8
"""Share of a token's life after which another is asked for."""


class Authorization:
    """The header that a registry is shown, for one repository."""

    def __init__(self, host: str, repository: str, session: requests.Session) -> None:
        self.host, self.session = host, session
        self.scope = f"repository:{repository}:pull,push"
        self.login = login_of(host)
        self.header = ""
        self._bearer: dict[str, str] = {}
        self._until = 0.0

    def fresh(self) -> str:
        """The header to send now; a token that is about to run out is replaced first."""
        if self._bearer and time.monotonic() > self._until:
            self._ask()
        return self.header

    def meet(self, challenge: str) -> None:
        """Answer a 401's WWW-Authenticate; AUTH_DENIED if there is nothing to answer with."""
        bearer = re.search(r"\bbearer\s+(.*)", challenge, re.I)
        if bearer:
            told = re.findall(r'(\w+)="([^"]*)"', bearer[1])
            self._bearer = dict(reversed(told))  # after them another challenge may follow
            self._ask()
        elif self.login and re.match(r"\s*basic\b", challenge, re.I):
            both = f"{self.login.user}:{self.login.password}".encode()
            self.header = f"Basic {base64.b64encode(both).decode()}"
        else:
            raise self.refused(401)

    def refused(self, status: int) -> StageFailure:
        """What to do when a request is not allowed."""
        if self.login is None:
            return denied(
                f"{self.host} answered {status}, and has no login for it: give secretRef a Secret "
                f"of type kubernetes.io/dockerconfigjson with one for {self.host} that may do "
                f"{self.scope}"
            )
        return denied(
            f"{self.host} answered {status}: the login of secretRef may not do {self.scope}; give "
            "it the right to push there"
        )

    def _ask(self) -> None:
        """A token for the scope, from the realm that the challenge named."""
        realm = self._bearer.get("realm", "")
        if not is_safe(realm, self.host):
            raise denied(f"{self.host} names {shown(realm)} for tokens, which is not https")
        self.header = ""
        answer = self._answer(realm)
        if answer.status_code in (400, 401, 403):
            raise self.refused(answer.status_code)
        if answer.status_code >= 300:
            raise self._failed(realm, f"it answered {answer.status_code}")
        try:
            body = json.loads(answer.content)
            token, life = body.get("token") or body["access_token"], body.get("expires_in")
            self._until = time.monotonic() + USED * int(life or LIFE_SECONDS)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError, RecursionError):
            raise self._failed(realm, "its answer has no sense") from None
        self.header = f"Bearer {token}"

    def _answer(self, realm: str) -> Answer:
        asked = {"service": self._bearer.get("service", ""), "scope": self.scope}
        try:
            if self.login and self.login.identity:
                refresh = {"grant_type": "refresh_token", "refresh_token": self.login.identity}
                form = {**asked, **refresh, "client_id": "olive-operator"}
                return self._of(realm, "POST", data=form, auth=as_it_is)
            # As bytes: of a text requests makes Latin-1.
            who = (
                (self.login.user.encode(), self.login.password.encode()) if self.login else as_it_is
            )
            return self._of(realm, "GET", params=asked, auth=who)
        except (requests.RequestException, ValueError) as error:
            raise self._failed(realm, type(error).__name__) from None

    def _of(self, realm: str, method: str, **how: Any) -> Answer:
        return answer_to(self.session, method, realm, timeout=TIMEOUT_SECONDS, **how)

    def _failed(self, realm: str, why: str) -> StageFailure:
        return StageFailure(
            FailureClass.STAGE_ERROR, f"no token for {self.host} from {shown(realm)}: {plain(why)}"
        )


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In the place of a login: without one, requests looks for some of its own."""
    return request


def is_local(host: str) -> bool:
    """Whether the host is this machine: the only one that is spoken to without TLS."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def is_safe(url: str, registry: str) -> bool:
    """Whether the address is https, or this machine's own where the registry is that as well."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https"
        or (parts.scheme == "http" and is_local(parts.netloc) and is_local(registry))
    )


def same_origin(one: str, other: str) -> bool:
    """Whether scheme, host and port are the same, written out or not."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
