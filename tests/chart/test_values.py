"""The values: mistakes are refused in words, and nothing stands undescribed or unchecked."""

import json
import os
from typing import Any

import pytest
import yaml

from . import readme, values_schema
from .helm import CHART, Helm

MISTAKES = {
    "a typo": ("imagess.stage=x", "additional properties 'imagess' not allowed"),
    "a typo below": ("images.stages=x", "at '/images': additional properties 'stages' not allowed"),
    "a digest cut short": (
        "images.operator=olive/operator@sha256:0123",
        "at '/images/operator': 'olive/operator@sha256:0123' does not match",
    ),
    "an image of no registry": (
        "images.stage=/olive/stage",
        "at '/images/stage': '/olive/stage' does not match",
    ),
    "an empty image": ("images.stage=", "at '/images/stage': minLength: got 0, want 1"),
    "one namespace, not a list": ("namespaces=ml", "at '/namespaces': got string, want array"),
    "a namespace in capitals": ("namespaces={ML}", "at '/namespaces/0': 'ML' does not match"),
    "a namespace twice": ("namespaces={a,a}", "at '/namespaces': items at 0 and 1 are equal"),
    "an unknown pull policy": ("imagePullPolicy=Sometimes", "'IfNotPresent', 'Always', 'Never'"),
    "a pull secret as an object": (
        "imagePullSecrets[0].name=x",
        "at '/imagePullSecrets/0': got object, want string",
    ),
    "bytes as GB": (
        "cpuStage.resources.requests.memory=8GB",
        "at '/cpuStage/resources/requests/memory': '8GB' does not match",
    ),
    "negative cpus": ("serve.resources.requests.cpu=-1", "minimum: got -1, want 0"),
    "a request misspelt": (
        "gpuStage.resources.request.cpu=1",
        "at '/gpuStage/resources': additional properties 'request' not allowed",
    ),
    "a toleration misspelt": (
        "gpuStage.tolerations[0].keys=x",
        "at '/gpuStage/tolerations/0': additional properties 'keys' not allowed",
    ),
    "an unknown access mode": ("storage.accessMode=RWX", "'ReadWriteOnce', 'ReadWriteMany'"),
    "no size": ("storage.size=0Gi", "at '/storage/size': '0Gi' does not match"),
    "fewer retries than none": ("retry.limit=-1", "at '/retry/limit': minimum: got -1, want 0"),
    "a variable that is a number": (
        "egress.env.NO_PROXY=10",
        "at '/egress/env/NO_PROXY': got number, want string",
    ),
    "a variable that no shell could set": (
        "egress.env.NO-PROXY=x",
        "invalid propertyName 'NO-PROXY'",
    ),
    "certificates in the values": (
        "egress.caConfigMap=-----BEGIN CERTIFICATE-----",
        "at '/egress/caConfigMap': '-----BEGIN CERTIFICATE-----' does not match",
    ),
    "a limit of what is no stage": (
        "timeouts.serve=1h",
        "at '/timeouts': additional properties 'serve' not allowed",
    ),
    "a limit without a unit": ("timeouts.fetch=60", "at '/timeouts/fetch': got number"),
    "a limit in weeks": ("timeouts.fetch=1w", "at '/timeouts/fetch': '1w' does not match"),
    "no time at all": ("timeouts.fetch=0s", "at '/timeouts/fetch': '0s' does not match"),
    "a limit taken away": ("timeouts.fetch=null", "at '/timeouts': missing property 'fetch'"),
    "a deadline of nothing": ("progressDeadline=", "at '/progressDeadline': minLength: got 0"),
    "a deadline in words": (
        "imagePullDeadline=soon",
        "at '/imagePullDeadline': 'soon' does not match",
    ),
    "a back-off with a unit": (
        "retry.backoffSeconds=10s",
        "at '/retry/backoffSeconds': got string, want integer",
    ),
    "no operator": ("replicas=0", "at '/replicas': minimum: got 0, want 1"),
    "a Lease that ends before it is renewed": ("lease.renewSeconds=10", "has to be less than"),
    "no progress": ("progressSeconds=0", "at '/progressSeconds': minimum: got 0, want 1"),
    "a label that is a number": (
        "serve.nodeSelector.pool=4",
        "at '/serve/nodeSelector/pool': got number, want string",
    ),
    "a policy in words": ("serve.networkPolicy=strict", "at '/serve/networkPolicy': got string"),
    "an API by its name": ("gatewayAPI=v1", "at '/gatewayAPI': got string, want boolean"),
    "a security context misspelt": (
        "securityContext.readOnlyRootFileSystem=true",
        "additional properties 'readOnlyRootFileSystem' not allowed",
    ),
    "capabilities in words": (
        "securityContext.capabilities.drop=ALL",
        "at '/securityContext/capabilities/drop': got string, want null or array",
    ),
    "an affinity misspelt": (
        "affinity.podAntiAffinity.preferred[0].weight=1",
        "at '/affinity/podAntiAffinity': additional properties 'preferred' not allowed",
    ),
    "a spread over nothing": (
        "topologySpreadConstraints[0].maxSkew=1",
        "at '/topologySpreadConstraints/0': missing properties 'topologyKey', 'whenUnsatisfiable'",
    ),
    "a network's peer misspelt": (
        "networkPolicy.metricsFrom[0].namespace=monitoring",
        "at '/networkPolicy/metricsFrom/0': additional properties 'namespace' not allowed",
    ),
    "a port out of range": ("metrics.service.port=70000", "maximum: got 70,000, want 65,535"),
    "a monitor of no service": (
        "metrics.serviceMonitor.enabled=true,metrics.service.enabled=false",
        "set metrics.service.enabled to true",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_helm_refuses(helm: Helm, mistake: str) -> None:
    given, message = MISTAKES[mistake]
    assert message in helm.refusal("--set", given)


def _objects(schema: Any, path: str = "") -> dict[str, Any]:
    found = {}
    if isinstance(schema, dict):
        if "object" in (schema.get("type"), *_alternatives(schema)):
            found[path] = schema
        for name, part in schema.items():
            found |= _objects(part, f"{path}/{name}")
    return found


def _alternatives(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type")
    return kinds if isinstance(kinds, list) else []


def test_schema_lets_no_unknown_name_pass() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    free = {path for path, s in _objects(schema).items() if "additionalProperties" not in s}
    assert free == {"/properties/global"}  # Helm's


def test_schema_knows_kubernetes_types_as_they_are() -> None:
    path = CHART / "values.schema.json"
    current = values_schema.with_types(path.read_text())
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(current)
    assert path.read_text() == current


def test_schema_and_values_name_the_same() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    del schema["properties"]["global"]
    _name_the_same(schema, values, "values")


def _name_the_same(schema: Any, values: Any, path: str) -> None:
    """Where the schema is Kubernetes' or another definition, a value need not set every field."""
    assert set(schema["properties"]) == set(values), path
    for name, part in schema["properties"].items():
        if "properties" in part:
            _name_the_same(part, values[name], f"{path}.{name}")


def test_every_value_is_in_the_readme() -> None:
    path = CHART / "README.md"
    written = path.read_text()
    table = readme.table((CHART / "values.yaml").read_text())
    current = readme.replaced(written, table)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(current)
    assert path.read_text() == current
