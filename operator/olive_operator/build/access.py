"""What a pod that reaches out of the cluster is given: credentials, who it is, and the way out.

Secrets are named here and never read: the kubelet hands them over. A fetch has its source's, a
publication its target's. At Azure a pod is who ``spec.azure`` says; the token of its service
account is projected here, so that no webhook is needed (azure.github.io/azure-workload-identity).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from olive_contract.params import FetchParams, PublishParams
from olive_operator.api.spec import AzureIdentity
from olive_operator.api.stage import Stage
from olive_operator.build.pod import Manifest
from olive_operator.config import Egress
from olive_operator.labels import AZURE_WEBHOOK

OUTGOING: Final = frozenset({"fetch", "publish"})
"""Kinds of stages that reach out of the cluster."""

_VARIABLES: Final = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
    ),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CONNECTION_STRING",
    ),
    "azureml": ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"),
}
"""By scheme: keys of the Secret and variables at once. Which are needed, only the store knows."""
_TOKENS: Final = "/var/run/secrets/olive-operator"
_AZURE_AUDIENCE: Final = "api://AzureADTokenExchange"
_TOKEN_SECONDS: Final = 3600
_CA: Final = "/etc/olive-operator/ca"
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")


@dataclass(frozen=True)
class Access:
    """What is added to a pod: variables, volumes by where they are mounted, its ServiceAccount,
    and labels."""

    env: tuple[Manifest, ...] = ()
    files: tuple[tuple[str, Manifest], ...] = ()
    serviceAccountName: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def access(stage: Stage, egress: Egress) -> Access:
    """What the pod of this stage is given beside its input; nothing if it stays inside."""
    if stage.kind not in OUTGOING:
        return Access()
    env, files = list(_way_out(egress)), []
    if egress.caConfigMap:
        files.append((_CA, {"configMap": {"name": egress.caConfigMap}}))
    target, azure = _reached(stage), stage.azure or AzureIdentity()
    if target == "azureml":
        env += _azure(azure)
        if azure.clientID:
            files.append((f"{_TOKENS}/azure", {"projected": _token(_AZURE_AUDIENCE)}))
    elif stage.secret and target == "oci":
        env.append({"name": "DOCKER_CONFIG", "value": f"{_TOKENS}/registry"})
        files.append((f"{_TOKENS}/registry", {"secret": _docker_config(stage.secret)}))
    elif stage.secret:
        env += _credentials(target, stage.secret)
    account = azure.serviceAccountName or ""
    marks = {AZURE_WEBHOOK: "true"} if account and not _own(azure) else {}
    return Access(tuple(env), tuple(files), account, marks)


def _own(azure: AzureIdentity) -> bool:
    """Whether the spec itself has the credentials, so that no webhook is to bring any."""
    return bool(azure.clientID or azure.secretRef)


def _reached(stage: Stage) -> str:
    """The scheme of what the stage reaches."""
    if isinstance(stage.params, FetchParams):
        return stage.params.source.partition("://")[0]
    if isinstance(stage.params, PublishParams) and stage.params.huggingFace:
        return "hf"
    return "oci" if isinstance(stage.params, PublishParams) and stage.params.oci else "azureml"


def _way_out(egress: Egress) -> Iterator[Manifest]:
    for name, value in egress.env.items():
        yield {"name": name, "value": value}
    for name in _CA_VARIABLES if egress.caConfigMap else ():
        yield {"name": name, "value": f"{_CA}/ca.crt"}


def _azure(identity: AzureIdentity) -> Iterator[Manifest]:
    if identity.secretRef:
        yield from _credentials("azureml", identity.secretRef)
    elif identity.clientID and identity.tenantID:
        yield {"name": "AZURE_CLIENT_ID", "value": identity.clientID}
        yield {"name": "AZURE_TENANT_ID", "value": identity.tenantID}
        yield {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": f"{_TOKENS}/azure/token"}


def _token(audience: str) -> Manifest:
    token = {"audience": audience, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
    return {"sources": [{"serviceAccountToken": token}], "defaultMode": 0o440}


def _docker_config(secret: str) -> Manifest:
    items = [{"key": ".dockerconfigjson", "path": "config.json"}]
    return {"secretName": secret, "items": items, "defaultMode": 0o440}


def _credentials(scheme: str, secret: str) -> Iterator[Manifest]:
    """Variables from the Secret; none for schemes without credentials."""
    if scheme == "hf":
        yield _variable("HF_TOKEN", {"name": secret, "key": "token"})
    for name in _VARIABLES.get(scheme, ()):
        yield _variable(name, {"name": secret, "key": name, "optional": True})


def _variable(name: str, reference: Manifest) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}
