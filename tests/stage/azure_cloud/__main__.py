"""``python azure_cloud ADDRESS JWKS ISSUER SUBJECT``: the cloud as a process, for pods to come to.

It trusts tokens that the cluster of these keys has signed for the ServiceAccount SUBJECT. The first
line of its output is the environment of its clients, and the certificate authority that they need;
for each line of its input it prints the versions of models that there are, and what nobody is to
see: keys and tokens. It ends with its input.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import jwt
from blobs import KEY
from cloud import cloud
from entra import CLIENT, TENANT

AUDIENCE = "api://AzureADTokenExchange"


class Cluster:
    """Who signs the tokens of a cluster's ServiceAccounts, and which of them is trusted."""

    def __init__(self, jwks: Path, issuer: str, subject: str) -> None:
        self._keys = jwt.PyJWKSet.from_json(jwks.read_text())
        self._issuer, self._subject = issuer, subject
        self.shown: set[str] = set()

    def trusts(self, token: str) -> bool:
        """As Entra holds a token against a federated credential: signature, and three claims."""
        self.shown.add(token)
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            told = jwt.decode(
                token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=self._issuer
            )
        except (jwt.PyJWTError, KeyError):
            return False
        return bool(told["sub"] == self._subject)


def main(address: str, jwks: str, issuer: str, subject: str) -> None:
    """Serve until the input ends."""
    with tempfile.TemporaryDirectory() as folder, cloud(Path(folder), address) as found:
        cluster, entra = Cluster(Path(jwks), issuer, subject), found.plane.entra
        entra.trusts = cluster.trusts
        authority = Path(found.environment["SSL_CERT_FILE"]).read_text()
        names = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
        environment = {k: v for k, v in found.environment.items() if k not in names}
        _say({"env": environment, "ca": authority, "client": CLIENT, "tenant": TENANT})
        for _ in sys.stdin:
            secrets = sorted({KEY, *entra.issued, *cluster.shown})
            _say({"versions": found.plane.resources.workspace.versions, "secrets": secrets})


def _say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
