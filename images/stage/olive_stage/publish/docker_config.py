"""Docker's configuration, as a Secret for pulling has it: config.json in DOCKER_CONFIG."""

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from olive_contract.failures import FailureClass, StageFailure

DOCKER_HUB = "index.docker.io"
"""What the configuration calls docker.io."""


@dataclass(frozen=True)
class Login:
    """A user and password; or an identity token, which is good for asking for tokens alone."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)


def login_of(host: str) -> Login | None:
    """What config.json in the folder DOCKER_CONFIG has for this host; None for nothing."""
    folder = os.environ.get("DOCKER_CONFIG")
    if not folder:
        return None
    try:
        auths = json.loads((Path(folder) / "config.json").read_text()).get("auths", {})
        known = {_host(name): entry for name, entry in auths.items()}
        entry = known.get(DOCKER_HUB if host == "docker.io" else host)
        return None if entry is None else _login(entry)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        raise denied(
            "the Secret's .dockerconfigjson cannot be read; make it with kubectl create secret "
            "docker-registry"
        ) from None


def _host(name: str) -> str:
    """The host of a name as config.json has them: with or without scheme and path."""
    return name.rpartition("://")[2].partition("/")[0]


def _login(entry: dict[str, str]) -> Login:
    packed = base64.b64decode(entry.get("auth", "")).decode()
    user, _, password = packed.partition(":")
    return Login(
        entry.get("username") or user,
        entry.get("password") or password.rstrip("\0"),
        entry.get("identitytoken", ""),
    )


def denied(message: str) -> StageFailure:
    """Somebody has to change rights or a Secret."""
    return StageFailure(FailureClass.AUTH_DENIED, message)
