"""A control plane alone does what benches and tests of failures rely on: the real programs."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from programs import hack

from .namespace import eventually


@dataclass(frozen=True)
class ControlPlane:
    """A control plane of the tests' own, by way of hack/cluster and kubectl."""

    name: str
    kubeconfig: Path
    program: str

    def hack(self, *arguments: str) -> str:
        return hack("cluster", *arguments, "--name", self.name)

    def run(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        command = [self.program, f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, *manifests: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl("create", "--filename=-", stdin=json.dumps(items))

    def get(self, what: str, path: str) -> str:
        return self.kubectl("get", what, f"--output=jsonpath={{{path}}}")

    def wait(self, what: str, condition: str) -> None:
        self.kubectl("wait", what, f"--for={condition}", "--timeout=120s")

    def requests(self) -> list[dict[str, Any]]:
        log = self.kubeconfig.parent / "logs" / "audit.log"
        return [json.loads(line) for line in log.read_text().splitlines()]


def up(name: str, *options: str) -> Iterator[ControlPlane]:
    name = f"{name}-{os.getpid()}"
    try:
        kubeconfig = hack("cluster", "up", "--control-plane", "--name", name, *options)
        yield ControlPlane(name, Path(kubeconfig), hack("cluster", "tool", "kubectl"))
    finally:
        hack("cluster", "down", "--name", name)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    yield from up("parts", "--kwok", "2", "--kueue")


def job(name: str, **labels: str) -> dict[str, Any]:
    """A Job whose pod wants one GPU."""
    main = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [main]}},
        },
    }


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def queue(name: str, gpus: int) -> list[dict[str, Any]]:
    """A queue of the default namespace with a quota of so many GPUs."""
    version = {"apiVersion": "kueue.x-k8s.io/v1beta2"}
    quota = {"name": "nvidia.com/gpu", "nominalQuota": gpus}
    group = {
        "coveredResources": ["nvidia.com/gpu"],
        "flavors": [{"name": name, "resources": [quota]}],
    }
    metadata = {"name": name}
    return [
        version | {"kind": "ResourceFlavor", "metadata": metadata},
        version
        | {
            "kind": "ClusterQueue",
            "metadata": metadata,
            "spec": {"namespaceSelector": {}, "resourceGroups": [group]},
        },
        version | {"kind": "LocalQueue", "metadata": metadata, "spec": {"clusterQueue": name}},
    ]


def test_pods_run_on_nodes_that_are_not_there(plane: ControlPlane) -> None:
    assert plane.get("nodes", ".items[*].metadata.name") == "node-000 node-001"
    plane.create(job("works"))
    plane.wait("job/works", "condition=Complete")


def test_stages_tell_what_becomes_of_a_pod(tmp_path: Path) -> None:
    selected = {"key": ".status.phase", "operator": "In", "values": ["Pending"]}
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "out of memory"}}
    status = {"phase": "Failed", "containerStatuses": [{"name": "main", "state": ended}]}
    stage = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "fails"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [selected]},
            "next": {"statusTemplate": json.dumps(status)},
        },
    }
    stages = tmp_path / "stages.yaml"
    stages.write_text(json.dumps(stage))
    for plane in up("stages", "--kwok", "1", "--stages", str(stages)):
        plane.create(job("breaks"))
        plane.wait("job/breaks", "condition=Failed")
        message = ".items[*].status.containerStatuses[*].state.terminated.message"
        assert plane.get("pods", message) == "out of memory"


def test_a_job_waits_in_its_queue_until_the_quota_has_room(plane: ControlPlane) -> None:
    plane.create(*queue("full", gpus=0))
    plane.create(job("waits", **{"kueue.x-k8s.io/queue-name": "full"}))
    plane.wait("job/waits", "condition=Suspended")
    eventually(lambda: "insufficient quota" in plane.kubectl("get", "workloads", "--output=yaml"))
    assert plane.get("job/waits", ".spec.suspend") == "true"
    path = "/spec/resourceGroups/0/flavors/0/resources/0/nominalQuota"
    room = json.dumps([{"op": "replace", "path": path, "value": 1}])
    plane.kubectl("patch", "clusterqueue/full", "--type=json", f"--patch={room}")
    plane.wait("job/waits", "condition=Complete")


def test_every_request_of_others_than_kubernetes_is_logged(plane: ControlPlane) -> None:
    plane.run("get", "configmap/nobody-made-this")

    def reads() -> list[dict[str, Any]]:
        return [
            request
            for request in plane.requests()
            if request.get("objectRef", {}).get("name") == "nobody-made-this"
        ]

    eventually(lambda: bool(reads()))
    [read] = reads()
    assert (read["verb"], read["responseStatus"]["code"]) == ("get", 404)
    users = {request["user"]["username"] for request in plane.requests()}
    assert not [u for u in users if "kube-system" in u or u == "system:kube-controller-manager"]
    assert (read["level"], read["stage"]) == ("Metadata", "ResponseComplete")
    assert read["user"]["username"] == "admin"


@pytest.mark.parametrize("program", ["etcd", "apiserver"])
def test_a_program_that_was_stopped_goes_on_where_it_was(plane: ControlPlane, program: str) -> None:
    name = f"before-{program}"
    plane.create(config_map(name))
    plane.hack("stop", program)
    assert plane.run("get", f"configmap/{name}", "--request-timeout=2s").returncode != 0
    plane.hack("start", program)
    assert plane.get(f"configmap/{name}", ".metadata.name") == name
    plane.create(job(f"after-{program}"))
    plane.wait(f"job/after-{program}", "condition=Complete")


def test_no_job_is_created_while_kueue_is_away(plane: ControlPlane) -> None:
    plane.hack("stop", "kueue")
    refused = plane.run("create", "--filename=-", stdin=json.dumps(job("refused")))
    assert "failed calling webhook" in refused.stderr
    plane.hack("start", "kueue")
    plane.create(job("accepted"))


def test_a_restored_snapshot_is_what_clients_go_on_from(
    plane: ControlPlane, tmp_path: Path
) -> None:
    plane.create(config_map("kept"))
    plane.hack("snapshot", str(tmp_path / "etcd.db"))
    plane.kubectl("delete", "configmap/kept")
    plane.create(config_map("lost"))
    seen = plane.get("configmap/lost", ".metadata.resourceVersion")
    plane.hack("restore", str(tmp_path / "etcd.db"))
    names = plane.get("configmaps", ".items[*].metadata.name").split()
    assert "kept" in names
    assert "lost" not in names
    # A watch from what was seen last must not wait for a revision that comes no more.
    watch = f"/api/v1/configmaps?watch=1&timeoutSeconds=20&resourceVersion={seen}"
    event = json.loads(plane.kubectl("get", f"--raw={watch}"))
    assert (event["type"], event["object"]["reason"]) == ("ERROR", "Expired")
    plane.create(job("later"))
    plane.wait("job/later", "condition=Complete")


def test_a_snapshot_needs_etcd(plane: ControlPlane, tmp_path: Path) -> None:
    plane.hack("stop", "etcd")
    with pytest.raises(AssertionError, match=r"etcd of cluster .* is not running"):
        plane.hack("snapshot", str(tmp_path / "etcd.db"))
    plane.hack("start", "etcd")
