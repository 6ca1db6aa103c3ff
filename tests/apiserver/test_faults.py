"""The control plane fails under the operator. These tests have one of their own to break."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from programs import ROOT, hack

from olive_operator.api.seen import Ref
from olive_operator.client.apiserver import ApiError, ApiServer
from olive_operator.client.cluster import KubernetesCluster
from olive_operator.client.connection import connect

from .kubectl import Kubectl
from .operators import UNSEEN, Jobs, Operator
from .standin_node import StandInNode, eventually
from .test_operator import STAGES, plain

NAME = f"faults-{os.getpid()}"


@pytest.fixture(scope="session")
def apiserver() -> Iterator[Path]:
    """The kubeconfig of a control plane that nobody else uses."""
    try:
        yield Path(hack("cluster", "up", "--control-plane", "--name", NAME))
    finally:
        hack("cluster", "down", "--name", NAME)


@pytest.fixture(scope="session")
def crds(apiserver: Path) -> Kubectl:
    kubectl = Kubectl(hack("cluster", "tool", "kubectl"), apiserver)
    folder = str(ROOT / "crds")
    kubectl("apply", "--server-side", f"--filename={folder}")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", f"--filename={folder}")
    return kubectl


@pytest.fixture
def operator(apiserver: Path, tmp_path: Path, namespace: str) -> Iterator[Operator]:
    """One whose Lease outlasts what happens here."""
    lease = {"seconds": 300, "renewSeconds": 200, "retrySeconds": 0.2}
    with Operator(apiserver, tmp_path, namespace, lease=lease) as found:
        yield found


def stop(program: str) -> None:
    hack("cluster", "stop", program, "--name", NAME)


def start(program: str) -> None:
    hack("cluster", "start", program, "--name", NAME)


@contextmanager
def stopped(program: str) -> Iterator[None]:
    """Meanwhile; others use the same cluster."""
    stop(program)
    try:
        yield
    finally:
        start(program)


@pytest.mark.parametrize("program", ["apiserver", "etcd"])
def test_job_goes_on_when_what_was_killed_is_back(
    program: str, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    with stopped(program):
        release.set()
        # Without its etcd the API server does not answer; with that, each request has its time.
        eventually("the operator notices", lambda: "trying on" in operator.log, seconds=90)
    jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
    assert operator.runs
    assert "Traceback" not in operator.log


def test_what_was_deleted_while_nobody_could_watch_is_missed(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    operator.send(signal.SIGSTOP)
    name = next(name for name in jobs.attempts() if "quantize" in name)
    jobs.batch.delete_namespaced_job(name, jobs.namespace, propagation_policy="Background")
    eventually("its pod is gone", lambda: not [p for p in jobs.pods() if name in p])
    # An API server that starts anew knows of no change before its start.
    stop("apiserver")
    start("apiserver")
    operator.send(signal.SIGCONT)
    eventually("quantize started again", lambda: node.ran.count("quantize") == 2)
    release.set()
    jobs.await_ready("travel")
    assert operator.measured("olive_watch_relists_total") > 0
    assert operator.runs


def test_job_that_a_restored_backup_does_not_have_is_forgotten(
    jobs: Jobs, node: StandInNode, operator: Operator, tmp_path: Path
) -> None:
    saved = str(tmp_path / "etcd.snapshot")
    jobs.create("before", plain())
    jobs.await_ready("before")
    hack("cluster", "snapshot", saved, "--name", NAME)
    release = node.hold("quantize")
    jobs.create("after", plain(quantize={"algorithm": "rtn", "groupSize": 64}))
    eventually("both are known", lambda: operator.measured("olive_jobs") >= 2)
    before = operator.measured("olive_jobs")
    hack("cluster", "restore", saved, "--name", NAME)
    release.set()

    def forgotten() -> bool:
        if not operator.runs:  # it saw time go back, and ended: Kubernetes would start it anew
            operator.start()
        return operator.measured("olive_jobs") == before - 1

    eventually("it is forgotten", forgotten)


# What is late changes nothing


@pytest_asyncio.fixture
async def cluster(apiserver: Path) -> AsyncIterator[KubernetesCluster]:
    loaded = kubernetes_client.Configuration()
    await kubernetes_config.load_kube_config(str(apiserver), client_configuration=loaded)
    async with connect(loaded) as api, aiohttp.ClientSession() as http:
        yield KubernetesCluster(ApiServer(api), http)


def status_of(job: dict[str, Any], phase: str) -> dict[str, Any]:
    meta = {k: job["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "metadata": meta,
        "status": {"phase": phase},
    }


async def test_status_is_written_only_over_the_version_that_was_planned_from(
    jobs: Jobs, cluster: KubernetesCluster
) -> None:
    jobs.create("travel", plain())
    first = jobs.get("travel")
    second = await cluster.write_status(status_of(first, "Pending"))
    assert second is not None
    assert await cluster.write_status(status_of(first, "Failed")) is None
    assert jobs.status("travel")["phase"] == "Pending"
    assert await cluster.write_status(status_of(second, "Running")) is not None


async def test_status_replaces_the_one_before_and_leaves_all_else_as_it_is(
    jobs: Jobs, cluster: KubernetesCluster
) -> None:
    jobs.create("travel", plain())
    created = jobs.get("travel")
    before = status_of(created, "Running")
    before["status"]["progress"] = "1/9"
    first = await cluster.write_status(before)
    assert first is not None
    second = await cluster.write_status(status_of(first, "Ready"))
    assert second is not None
    assert second["status"] == {"phase": "Ready"}
    assert second["spec"] == created["spec"]
    kept = ("generation", "labels", "annotations", "uid")
    assert [second["metadata"].get(k) for k in kept] == [created["metadata"].get(k) for k in kept]
    wrong = status_of(second, "Ready")
    wrong["status"]["gpuSeconds"] = "many"
    with pytest.raises(ApiError, match=r"status\.gpuSeconds"):
        await cluster.write_status(wrong)


async def test_status_of_a_job_that_was_made_anew_is_not_its_predecessors(
    jobs: Jobs, cluster: KubernetesCluster
) -> None:
    jobs.create("travel", plain())
    first = jobs.get("travel")
    jobs.delete("travel")
    assert await cluster.write_status(status_of(first, "Ready")) is None
    jobs.create("travel", plain())
    assert await cluster.write_status(status_of(first, "Ready")) is None
    assert jobs.status("travel") == UNSEEN


async def test_object_that_was_made_anew_is_not_deleted(
    jobs: Jobs, cluster: KubernetesCluster
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": jobs.namespace},
    }
    first = await cluster.create(manifest)
    assert first is not None
    assert await cluster.create(manifest) is None, "it is there"
    await cluster.delete(jobs.namespace, Ref("ConfigMap", "c"), "another's uid")
    assert await cluster.create(manifest) is None, "it still is"
    await cluster.delete(jobs.namespace, Ref("ConfigMap", "c"), first["metadata"]["uid"])
    assert await cluster.create(manifest) is not None
