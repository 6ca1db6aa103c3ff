"""A control plane without nodes, with our CRDs in it, brought up once for all tests."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from programs import ROOT, hack

from .kubectl import Kubectl


@pytest.fixture(scope="session")
def apiserver() -> Iterator[Path]:
    """The kubeconfig of an API server: $APISERVER_KUBECONFIG, or one of these tests' own."""
    if given := os.environ.get("APISERVER_KUBECONFIG"):
        yield Path(given)
        return
    name = f"apiserver-{os.getpid()}"
    try:
        yield Path(hack("cluster", "up", "--control-plane", "--name", name))
    finally:
        hack("cluster", "down", "--name", name)


@pytest.fixture(scope="session")
def crds(apiserver: Path) -> Kubectl:
    """kubectl at the API server, which knows our kinds."""
    kubectl = Kubectl(hack("cluster", "tool", "kubectl"), apiserver)
    folder = str(ROOT / "crds")
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={folder}")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", f"--filename={folder}")
    return kubectl


@pytest.fixture
def kubectl(crds: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    crds("create", "namespace", name)
    yield replace(crds, namespace=name)
    crds("delete", "namespace", name, "--wait=false")
