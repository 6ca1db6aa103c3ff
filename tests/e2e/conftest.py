"""The one-node cluster with the operator on it, once for all stories, and a store of their own.

The demo brings everything up, so it is the first story; the others go on in its namespace, with its
model and data, but in a fresh store: nothing that an earlier run has made is there.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import ROOT, one_node

from .cluster import Cluster

NAMESPACE = "demo"


@pytest.fixture(scope="session")
def node() -> Iterator[Path]:
    """The kubeconfig of the cluster with a node, taken down again if the stories brought it up."""
    with one_node() as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="session")
def demo(node: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `make demo` has reported of itself; it must have ended well."""
    report = tmp_path_factory.mktemp("demo") / "report.json"
    command = [sys.executable, str(ROOT / "hack/demo"), "up", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, "the demo has failed; see above"
    found: dict[str, Any] = json.loads(report.read_text())
    return found


@pytest.fixture(scope="session")
def cluster(node: Path, demo: dict[str, Any]) -> Cluster:
    return Cluster.at(node, NAMESPACE)


@pytest.fixture(scope="module")
def store(cluster: Cluster) -> str:
    """An empty claim, under a name that was never there."""
    name = f"store-{uuid.uuid4().hex[:8]}"
    cluster.make_claim(name, "10Gi")
    return name


@pytest.fixture
def other_gpu(cluster: Cluster) -> Iterator[None]:
    """The node offers a GPU of another product than the stories ask for; none afterwards."""
    cluster.advertise_gpus(1, "Tesla-T4")
    yield
    cluster.advertise_gpus(0)
