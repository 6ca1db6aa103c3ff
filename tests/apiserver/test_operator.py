"""The operator's own process against a real API server; its only node is a stand-in."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from builders import adapter, spec
from kubernetes import client, config
from programs import ROOT

from .kubectl import Kubectl
from .standin_node import StandInNode, eventually, pretty

CONFIG = {
    "images": {"stage": "stage:1", "stageSlim": "slim:1", "serve": "serve:1"},
    "retry": {"limit": 2, "backoffSeconds": 1},
}
STAGES = {
    "fetch/model",
    "fetch/travel",
    "quantize",
    "export",
    "check/travel",
    "finetune/travel",
    "adapter/travel",
    "reference/travel",
    "evaluate/travel",
}
DONE = f"{len(STAGES)}/{len(STAGES)}"


class Jobs:
    """The OptimizationJobs of a namespace, and what is there of their children."""

    def __init__(self, api: Any, namespace: str) -> None:
        self.custom, self.core = client.CustomObjectsApi(api), client.CoreV1Api(api)
        self.batch, self.apps = client.BatchV1Api(api), client.AppsV1Api(api)
        self.namespace = namespace
        self._where = ("olive-operator.io", "v1alpha1", namespace, "optimizationjobs")

    def create(self, name: str, body: dict[str, Any]) -> None:
        manifest = {
            "apiVersion": "olive-operator.io/v1alpha1",
            "kind": "OptimizationJob",
            "metadata": {"name": name},
            "spec": body,
        }
        self.custom.create_namespaced_custom_object(*self._where, manifest)

    def edit(self, name: str, body: dict[str, Any]) -> None:
        """Replace the spec, however often the operator writes the status in between."""
        found = self.get(name)
        try:
            self.custom.replace_namespaced_custom_object(
                *self._where, name, {**found, "spec": body}
            )
        except client.ApiException as error:
            if error.status != 409:
                raise
            self.edit(name, body)

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.custom.get_namespaced_custom_object(*self._where, name)
        return found

    def delete(self, name: str) -> None:
        self.custom.delete_namespaced_custom_object(*self._where, name)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(name).get("status", {})
        return found

    def is_(self, name: str, condition: str) -> bool:
        """Whether the condition is True of the newest spec."""
        found = self.get(name)
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
        now = conditions.get(condition, {"status": "Unknown"})
        newest = now.get("observedGeneration") == found["metadata"]["generation"]
        return bool(newest and now["status"] == "True")

    def await_ready(self, name: str, condition: str = "Ready") -> dict[str, Any]:
        try:
            eventually(f"{name} {condition}", lambda: self.is_(name, condition))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{pretty(self.status(name))}") from None
        return self.status(name)

    def warnings(self, name: str) -> list[str]:
        """The messages of the warning events of a job."""
        fields = f"involvedObject.name={name},type=Warning"
        events = self.core.list_namespaced_event(self.namespace, field_selector=fields).items
        return [event.message for event in events]

    def artifacts(self) -> list[dict[str, Any]]:
        where = (*self._where[:3], "artifacts")
        found: list[dict[str, Any]] = self.custom.list_namespaced_custom_object(*where)["items"]
        return found

    def attempts(self) -> list[str]:
        return [j.metadata.name for j in self.batch.list_namespaced_job(self.namespace).items]


class Operator:
    """The operator as a process of its own, to be killed and started again."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._environment["PYTHONPATH"] = str(ROOT / "operator")
        self._config, self._log = folder / "config.yaml", folder / "operator.log"
        self._config.write_text(yaml.safe_dump(CONFIG))
        self.metrics, self.probe = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = [
            *("--config", str(self._config), "--metrics-port", str(self.metrics)),
            *("--liveness", f"http://127.0.0.1:{self.probe}/healthz"),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "olive_operator", *options],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(30)

    def measured(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as page:
            lines = page.read().decode().splitlines()
        values = [float(ln.split()[-1]) for ln in lines if ln.split("{")[0].split()[0] == name]
        assert values, f"no metric {name}"
        return sum(values)

    @property
    def log(self) -> str:
        return self._log.read_text()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


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
def operator(apiserver: Path, tmp_path: Path) -> Iterator[Operator]:
    found = Operator(apiserver, tmp_path)
    found.start()
    yield found
    found.stop(signal.SIGKILL)


def plain(**sections: Any) -> dict[str, Any]:
    """The usual job without a serving, as the stand-in node serves nothing."""
    return spec(serve=None, **sections)


def test_whole_job_runs_every_stage_once(jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    jobs.create("travel", plain())
    status = jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)
    assert status["phase"] == "Ready"
    assert status["progress"] == DONE
    assert {s["state"] for s in status["stages"]} == {"Succeeded"}
    assert {a["spec"]["stage"] for a in jobs.artifacts()} == STAGES
    assert operator.measured("olive_stage_duration_seconds_count") == len(STAGES)
    assert "Traceback" not in operator.log


def test_second_job_with_the_same_base_runs_only_what_is_its_own(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", plain())
    jobs.await_ready("travel")
    node.ran.clear()
    jobs.create("food", plain(adapters=[adapter("food")]))
    status = jobs.await_ready("food")
    kinds = ("fetch", "check", "finetune", "adapter", "reference", "evaluate")
    assert sorted(node.ran) == sorted(["fetch/model", *(f"{kind}/food" for kind in kinds)])
    cached = {s["name"] for s in status["stages"] if s.get("cached")}
    assert {"quantize", "export"} <= cached


def test_killed_operator_goes_on_where_it_was_and_runs_nothing_twice(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    operator.stop(signal.SIGKILL)
    release.set()
    operator.start()
    jobs.await_ready("travel")
    assert sorted(node.ran) == sorted(STAGES)


def test_deleted_pod_is_done_again_once(jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    release = node.hold("quantize")
    jobs.create("travel", plain())
    eventually("quantize started", lambda: "quantize" in node.ran)
    pods = jobs.core.list_namespaced_pod(
        jobs.namespace, label_selector="olive-operator.io/stage=quantize"
    )
    jobs.core.delete_namespaced_pod(
        pods.items[0].metadata.name, jobs.namespace, grace_period_seconds=0
    )
    eventually("quantize started again", lambda: node.ran.count("quantize") == 2)
    release.set()
    status = jobs.await_ready("travel")
    assert node.ran.count("quantize") == 2
    quantize = next(s for s in status["stages"] if s["name"] == "quantize")
    assert quantize["attempt"] == 2
    assert quantize.get("failures", 0) == 0


def test_deleting_a_job_takes_its_children_and_nothing_else_even_with_the_operator_down(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", spec())
    eventually("every stage done", lambda: jobs.status("travel").get("progress") == DONE)

    def services() -> list[str]:
        found = jobs.core.list_namespaced_service(jobs.namespace).items
        return [service.metadata.name for service in found]

    eventually("the Service", lambda: "travel-serving" in services())
    operator.stop()
    jobs.delete("travel")
    eventually("no attempts left", lambda: jobs.attempts() == [])
    eventually("no Service left", lambda: services() == [])
    assert jobs.apps.list_namespaced_deployment(jobs.namespace).items == []
    claims = jobs.core.list_namespaced_persistent_volume_claim(jobs.namespace).items
    assert [c.metadata.name for c in claims] == ["olive-store"]
    assert len(jobs.artifacts()) == len(STAGES)
    operator.start()
    node.ran.clear()
    jobs.create("travel", plain())
    jobs.await_ready("travel")
    assert sorted(node.ran) == ["fetch/model", "fetch/travel"], "only the sources are looked up"


def test_edit_while_a_stage_runs_cancels_just_that_stage(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("finetune/travel")
    jobs.create("travel", plain())
    eventually("finetune started", lambda: "finetune/travel" in node.ran)
    release.set()
    jobs.edit("travel", plain(adapters=[adapter("travel", rank=4)]))
    jobs.await_ready("travel")
    assert node.ran.count("finetune/travel") == 2
    assert node.ran.count("quantize") == node.ran.count("export") == 1


def test_gate_holds_a_job_back_until_it_is_loosened_and_runs_nothing_again(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    def gate(most: float) -> dict[str, Any]:
        return plain(evaluate={"gates": [{"metric": "perplexity", "max": most}]})

    jobs.create("travel", gate(8.5))
    status = jobs.await_ready("travel", "Stalled")
    missed = "perplexity is 9, at most 8.5 is asked for"
    assert {c["reason"] for c in status["conditions"]} == {"GateFailed"}
    jobs.edit("travel", gate(9.5))
    jobs.await_ready("travel")
    assert jobs.warnings("travel") == [f"evaluate/travel: {missed}"]
    assert sorted(node.ran) == sorted(STAGES)
    # Another job finds the measurement in the store, and the gate is held against that.
    jobs.create("again", gate(8.5))
    status = jobs.await_ready("again", "Stalled")
    assert status["stages"][-1]["message"] == missed
    assert node.ran.count("evaluate/travel") == 1
    eventually("both counted", lambda: operator.measured("olive_gates_failed_total") == 2)


def test_steady_job_is_not_written_again(jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    jobs.create("travel", plain())
    jobs.await_ready("travel")

    def passes() -> float:
        return operator.measured("olive_reconcile_duration_seconds_count")

    def at_rest() -> bool:
        before = passes()
        return not _changes(passes, before)

    eventually("the operator at rest", at_rest)
    version, before = jobs.get("travel")["metadata"]["resourceVersion"], passes()
    body = {"metadata": {"labels": {"poke": "1"}}}
    name = jobs.attempts()[0]
    jobs.batch.patch_namespaced_job(name, jobs.namespace, body)
    eventually("another pass", lambda: passes() > before)
    assert jobs.get("travel")["metadata"]["resourceVersion"] == version


def _changes(measure: Callable[[], float], before: float) -> bool:
    try:
        eventually("a change", lambda: measure() != before, seconds=1)
    except AssertionError:
        return False
    return True
