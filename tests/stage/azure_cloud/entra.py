"""The stand-in of Microsoft Entra ID: tokens for a client's secret or for a federated token."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from answers import Answer, Request

TENANT = "00000000-0000-0000-0000-0000000000aa"
CLIENT = "00000000-0000-0000-0000-0000000000bb"
SECRET = "the-secret-of-the-client"
SERVICE_ACCOUNT_TOKEN = "the.projected.token"
"""What the projected token file of a service account holds."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Entra:
    """Which client got which token. ``trusts``: whether a federated credential names the token."""

    address: str
    issued: dict[str, str] = field(default_factory=dict)
    trusts: Callable[[str], bool] = SERVICE_ACCOUNT_TOKEN.__eq__

    def respond(self, request: Request) -> Answer:
        """OpenID's configuration of the tenant, or a token."""
        tenant, _, rest = request.path.strip("/").partition("/")
        base = f"{self.address}/{tenant}"
        if rest == "discovery/instance":  # the public cloud knows no others
            return _denied("invalid_instance", "AADSTS50049: Unknown or invalid instance.", 400)
        if tenant != TENANT:
            return _denied("invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.", 400)
        if rest == f"v2.0/{CONFIGURATION}":
            authorize, token = f"{base}/oauth2/v2.0/authorize", f"{base}/oauth2/v2.0/token"
            return Answer(
                200,
                {"authorization_endpoint": authorize, "token_endpoint": token}
                | {"issuer": f"{base}/v2.0", "jwks_uri": f"{base}/discovery/v2.0/keys"},
            )
        if rest == "oauth2/v2.0/token" and request.method == "POST":
            return self.token({k: v[0] for k, v in parse_qs(request.body.decode()).items()})
        return Answer(404)

    def token(self, form: dict[str, str]) -> Answer:
        """A token for the audience that the scope names, if the client shows who it is."""
        client = form.get("client_id", "")
        if client != CLIENT:
            return _denied("unauthorized_client", f"AADSTS700016: Application '{client}' not found")
        if "client_assertion" in form:
            known = form.get("client_assertion_type") == ASSERTION
            if not known or not self.trusts(form["client_assertion"]):
                text = "AADSTS700213: No matching federated identity record found for presented "
                return _denied("invalid_client", text + "assertion subject.")
        elif form.get("client_secret") != SECRET:
            text = "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in "
            return _denied("invalid_client", text + "the request is the client secret value.")
        token = _signed(form["scope"].split()[0].removesuffix("/.default"), client)
        self.issued[token] = client
        return Answer(
            200,
            {"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600}
            | {"access_token": token},
        )

    def client(self, authorization: str) -> str | None:
        """Who shows this header; None for a token that was not given out here."""
        return self.issued.get(authorization.removeprefix("Bearer "))


CONFIGURATION = ".well-known/openid-configuration"


def _denied(error: str, description: str, status: int = 401) -> Answer:
    return Answer(status, {"error": error, "error_description": description})


def _signed(audience: str, client: str) -> str:
    """A token as Azurite reads it: it looks at times, audience and issuer, not at signatures."""
    now = int(time.time())
    issuer = f"https://sts.windows.net/{TENANT}/"
    claims = {"aud": audience, "iss": issuer, "iat": now - 10, "nbf": now - 10, "exp": now + 3600}
    claims |= {"tid": TENANT, "appid": client, "oid": client}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    return ".".join([*(_encoded(json.dumps(part).encode()) for part in parts), "c2ln"])


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
