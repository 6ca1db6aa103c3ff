"""The modules of hack/, and the cluster with a node for the tests marked `cluster`."""

import sys
from collections.abc import Iterator

import pytest
from programs import ROOT, hack, one_node

from .namespace import Namespace

sys.path[:0] = [str(ROOT / "hack" / "cluster"), str(ROOT / "hack" / "images")]


@pytest.fixture(scope="session")
def node() -> Iterator[tuple[str, ...]]:
    """kubectl at a cluster with a node, brought up unless it is up."""
    with one_node() as kubeconfig:
        yield (hack("cluster", "tool", "kubectl"), f"--kubeconfig={kubeconfig}")


@pytest.fixture(scope="session")
def image(node: tuple[str, ...]) -> str:
    """An image on the node with a Python in it."""
    return hack("images", "load", "operator")


@pytest.fixture
def namespace(node: tuple[str, ...], image: str) -> Iterator[Namespace]:
    """A namespace that enforces the restricted Pod Security Standard."""
    name = "test-cluster"
    made = Namespace((*node, f"--namespace={name}"), image)
    made.kubectl("create", "namespace", name)
    made.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield made
    made.kubectl("delete", "namespace", name, "--timeout=120s")
