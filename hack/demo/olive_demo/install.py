"""The operator by its Helm chart, and the namespaces: ours are labelled, and only those removed."""

import json
from typing import Any

from olive_demo.shell import BUILD, ROOT, DemoError, Tell
from olive_demo.target import Target

SYSTEM, DEMO = "olive-system", "demo"
RELEASE = "olive-operator"
MARK = "olive-operator.io/demo"
VALUES = {
    "operator": "operator",
    "stage": "stage",
    "stage-slim": "stageSlim",
    "serve": "serve",
}
"""The chart's value for each image."""
CHART = ROOT / "charts" / "olive-operator"

_SMALL = {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "6Gi"}}


def install(target: Target, refs: dict[str, str], tell: Tell) -> None:
    """Install or upgrade the operator, and wait until it runs."""
    _check(target)
    for name in (SYSTEM, DEMO):
        target.kubectl("apply", "-f", "-", stdin=json.dumps(_namespace(name)))
    path = BUILD / "values.json"
    path.write_text(json.dumps(values(refs), indent=1))
    tell(f"helm upgrade --install {RELEASE}, and waiting for its pod")
    flags = ("--namespace", SYSTEM, "--values", path, "--wait", "--timeout", "3m")
    target.helm("upgrade", "--install", RELEASE, CHART, *flags)


def values(refs: dict[str, str]) -> dict[str, Any]:
    """The chart's values for a small machine and a tiny model."""
    return {
        "images": {VALUES[name]: ref for name, ref in refs.items()},
        "cpuStage": {"resources": _SMALL},
        "gpuStage": {"resources": _SMALL},
        "serve": {"resources": _SMALL},
        "storage": {"size": "10Gi"},
        "progressSeconds": 1,
    }


def ours(target: Target, namespace: str) -> bool:
    """Whether the demo made this namespace."""
    flags = ("--ignore-not-found", "--output", "json")
    found = target.kubectl("get", "namespace", namespace, *flags)
    return bool(found) and MARK in json.loads(found)["metadata"].get("labels", {})


def _check(target: Target) -> None:
    """DemoError if somebody else's operator or namespace would be changed."""
    releases = json.loads(target.helm("list", "--all-namespaces", "--output", "json"))
    for release in releases:
        if release["chart"].startswith(RELEASE) and not ours(target, release["namespace"]):
            raise DemoError(
                f"{target} has an olive-operator already, in namespace {release['namespace']}; "
                "the demo would be in its way. Use another cluster"
            )
    for name in (SYSTEM, DEMO):
        there = target.kubectl("get", "namespace", name, "--ignore-not-found")
        if there and not ours(target, name):
            raise DemoError(f"{target} has a namespace {name} of somebody else's; use another")


def _namespace(name: str) -> dict[str, Any]:
    labels = {MARK: "true", "pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }
