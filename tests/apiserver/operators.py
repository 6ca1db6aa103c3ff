"""The operator's own process, and the jobs that it has to do with."""

import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from kubernetes import client
from programs import ROOT

from .standin_node import eventually, pretty

CONFIG: dict[str, Any] = {
    "images": {"stage": "stage:1", "stageSlim": "slim:1", "serve": "serve:1"},
    "retry": {"limit": 2, "backoffSeconds": 1},
    "lease": {"seconds": 2, "renewSeconds": 1.5, "retrySeconds": 0.2},
}
UNSEEN: dict[str, Any] = {"observedGeneration": -1}
"""The status of a job that no operator has looked at: the API server's default."""


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

    def retry(self, name: str) -> None:
        """Ask for its failed stages once more."""
        marks = {"metadata": {"annotations": {"olive-operator.io/retry": "again"}}}
        self.custom.patch_namespaced_custom_object(*self._where, name, marks)

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

    def pods(self) -> list[str]:
        return [p.metadata.name for p in self.core.list_namespaced_pod(self.namespace).items]

    def attempts(self) -> list[str]:
        return [j.metadata.name for j in self.batch.list_namespaced_job(self.namespace).items]


class Operator:
    """The operator as a process of its own, to be killed and started again."""

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        namespace: str,
        name: str = "operator",
        lease: dict[str, Any] | None = None,
        **sections: Any,
    ) -> None:
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._environment["PYTHONPATH"] = str(ROOT / "operator")
        self._config, self._log = folder / f"{name}.yaml", folder / f"{name}.log"
        where = {**(lease or CONFIG["lease"]), "namespace": namespace}
        self._config.write_text(yaml.safe_dump({**CONFIG, "lease": where, **sections}))
        self.metrics, self.probe = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Operator":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

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
        self.send(how)
        return self.wait()

    def send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(30)

    def kill(self) -> None:
        if self._process is not None:
            self.stop(signal.SIGKILL)

    @property
    def runs(self) -> bool:
        """It has not ended since it was started."""
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """It is up, and its metrics can be read."""
        try:
            self.measured("olive_leading")
        except OSError:
            return False
        return True

    def healthy(self) -> bool:
        """It answers its probe."""
        try:
            with urlopen(f"http://127.0.0.1:{self.probe}/healthz") as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def leads(self) -> bool:
        return self.answers() and self.measured("olive_leading") == 1

    def measured(self, name: str) -> float:
        """The sum of a metric over its labels; no number while the process is started anew."""
        try:
            with urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return math.nan
        values = [float(ln.split()[-1]) for ln in lines if ln.split("{")[0].split()[0] == name]
        return sum(values) if values else math.nan  # it knows of nothing yet

    @property
    def log(self) -> str:
        return self._log.read_text()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
