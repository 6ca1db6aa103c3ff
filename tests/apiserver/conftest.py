"""A control plane without nodes, with our CRDs in it, brought up once for all tests."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from programs import ROOT, hack

from .kubectl import Kubectl
from .operators import Jobs, Operator
from .standin_node import StandInNode


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


@pytest.fixture
def api(apiserver: Path, crds: Kubectl) -> Any:
    return config.new_client_from_config(str(apiserver))


@pytest.fixture
def namespace(api: Any) -> str:
    name = f"ml-{uuid.uuid4().hex[:8]}"
    client.CoreV1Api(api).create_namespace({"metadata": {"name": name}})
    return name


@pytest.fixture
def jobs(api: Any, namespace: str) -> Jobs:
    return Jobs(api, namespace)


@pytest.fixture
def node(api: Any, namespace: str) -> Iterator[StandInNode]:
    with StandInNode(api, namespace) as found:
        yield found


@pytest.fixture
def operator(apiserver: Path, tmp_path: Path, namespace: str) -> Iterator[Operator]:
    found = Operator(apiserver, tmp_path, namespace)
    found.start()
    yield found
    found.kill()
