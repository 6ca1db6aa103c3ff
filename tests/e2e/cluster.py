"""The real cluster as the stories speak of it: jobs, pods, processes, and the served API."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import openai
from kubernetes import client, config
from programs import hack

from olive_cli.cluster.forward import forwarded

T = TypeVar("T")
TEMPLATE = "<|user|>\n{prompt}<|end|>\n<|assistant|>\n{response}<|end|>"
GROUP = ("olive-operator.io", "v1alpha1")


def eventually(what: str, condition: Callable[[], T], seconds: float = 120) -> T:
    """The condition's value as soon as it is true; AssertionError saying what did not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        threading.Event().wait(0.2)
    return found


def job(store: str, *adapters: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A spec on the tiny model with these adapters; a section given as None is left out."""
    body = {
        "model": {"source": "pvc://travel-tiny/model"},
        "quantize": {"algorithm": "rtn", "groupSize": 32},
        "adapters": list(adapters),
        "evaluate": {"samples": 8},
        "serve": {"resources": {"requests": {"cpu": "100m", "memory": "512Mi"}}},
        "gpu": {"count": 0},
        "storage": {"claim": store},
        **sections,
    }
    return {name: section for name, section in body.items() if section is not None}


def adapter(name: str, **lora: Any) -> dict[str, Any]:
    """An adapter trained on the example's data set of that name."""
    usual = {"rank": 8, "alpha": 16, "maxSteps": 150, "learningRate": 0.005, "maxLength": 64}
    source = f"pvc://travel-tiny/data/{name}.jsonl"
    data = {"source": source, "template": TEMPLATE}
    return {"name": name, "data": data, "lora": {**usual, **lora}}


@dataclass(frozen=True)
class Cluster:
    """A namespace of the real cluster."""

    kubeconfig: Path
    kubectl: str
    namespace: str
    api: Any

    @staticmethod
    def at(kubeconfig: Path, namespace: str) -> "Cluster":
        """The cluster of hack/cluster, which is up."""
        api = config.new_client_from_config(str(kubeconfig))
        return Cluster(kubeconfig, hack("cluster", "tool", "kubectl"), namespace, api)

    # Jobs

    def create(self, name: str, spec: dict[str, Any]) -> None:
        manifest = {
            "apiVersion": "/".join(GROUP),
            "kind": "OptimizationJob",
            "metadata": {"name": name},
            "spec": spec,
        }
        self._custom.create_namespaced_custom_object(*self._jobs, manifest)

    def edit(self, name: str, spec: dict[str, Any]) -> None:
        """Replace the whole spec."""
        change = json.dumps([{"op": "replace", "path": "/spec", "value": spec}])
        self.run_kubectl("patch", "optimizationjob", name, "--type=json", f"--patch={change}")

    def delete(self, name: str) -> None:
        self._custom.delete_namespaced_custom_object(*self._jobs, name)

    def annotate(self, name: str, note: str) -> None:
        self.run_kubectl("annotate", "optimizationjob", name, note, "--overwrite")

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._custom.get_namespaced_custom_object(*self._jobs, name)
        return dict(found.get("status") or {})

    def stage(self, name: str, stage: str) -> dict[str, Any]:
        return next((s for s in self.status(name).get("stages", []) if s["name"] == stage), {})

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """What is told of the spec as it is now: after an edit nothing is, for a moment."""
        job = self._custom.get_namespaced_custom_object(*self._jobs, name)
        now, told = job["metadata"]["generation"], (job.get("status") or {}).get("conditions", [])
        found = (c for c in told if (c["type"], c["observedGeneration"]) == (kind, now))
        return next(found, {})

    def await_ready(self, name: str, seconds: float = 400) -> dict[str, Any]:
        """The status of the job once it is Ready; stops at once if it is Stalled."""

        def settled() -> bool:
            stalled = self.condition(name, "Stalled")
            assert stalled.get("status") != "True", f"{name} is stalled: {stalled}"
            return self.condition(name, "Ready").get("status") == "True"

        try:
            eventually(f"{name} Ready", settled, seconds)
        except AssertionError as error:
            detail = json.dumps(self.status(name), indent=1)
            raise AssertionError(f"{error}\n{detail}\n{self._trouble()}") from None
        return self.status(name)

    def await_stalled(self, name: str, reason: str, seconds: float = 120) -> str:
        """The message of the Stalled condition once it has this reason."""

        def stalled() -> bool:
            found = self.condition(name, "Stalled")
            return (found.get("status"), found.get("reason")) == ("True", reason)

        try:
            eventually(f"{name} Stalled with {reason}", stalled, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.status(name), indent=1)}") from None
        return str(self.condition(name, "Stalled")["message"])

    def attempts(self, name: str) -> list[str]:
        """The stages of a job's attempts, one entry an attempt."""
        found = self._batch.list_namespaced_job(
            self.namespace, label_selector=f"olive-operator.io/job={name}"
        )
        return sorted(j.metadata.annotations["olive-operator.io/stage-name"] for j in found.items)

    # Pods and volumes

    def pods(self, selector: str, namespace: str | None = None) -> list[Any]:
        found = self._core.list_namespaced_pod(namespace or self.namespace, label_selector=selector)
        return list(found.items)

    def serving_pods(self, name: str) -> dict[str, int]:
        """Uid and restarts of the pods that serve a job."""
        selector = f"olive-operator.io/job={name},app.kubernetes.io/component=serving"
        return {
            p.metadata.uid: sum(c.restart_count for c in p.status.container_statuses or [])
            for p in self.pods(selector)
        }

    def delete_pod(self, name: str) -> None:
        self._core.delete_namespaced_pod(name, self.namespace)

    def make_claim(self, name: str, size: str, storage_class: str | None = None) -> None:
        spec: dict[str, Any] = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }
        if storage_class:
            spec["storageClassName"] = storage_class
        self._core.create_namespaced_persistent_volume_claim(
            self.namespace, {"metadata": {"name": name}, "spec": spec}
        )

    def artifacts(self, claim: str) -> list[dict[str, Any]]:
        found = self._custom.list_namespaced_custom_object(*GROUP, self.namespace, "artifacts")
        return [a["spec"] for a in found["items"] if a["spec"]["claim"] == claim]

    def artifact_names(self, claim: str, kind: str) -> list[str]:
        """The records of what stages of this kind have made on the claim."""
        found = self._custom.list_namespaced_custom_object(*GROUP, self.namespace, "artifacts")
        wanted = claim, kind
        specs = ((a["metadata"]["name"], a["spec"]) for a in found["items"])
        return [name for name, spec in specs if (spec["claim"], spec["kind"]) == wanted]

    @contextmanager
    def asking(self, name: str, script: str) -> Iterator[Callable[[], str]]:
        """Python in a pod beside a job's serving, with its URL as argument; what it has printed."""
        service = self._core.read_namespaced_service(f"{name}-serving", self.namespace)
        deployment = self._apps.read_namespaced_deployment(f"{name}-serving", self.namespace)
        container = {
            "name": "script",
            "image": deployment.spec.template.spec.containers[0].image,
            "command": ["python3", "-u", "-c", script, f"http://{service.spec.cluster_ip}"],
        }
        pod = f"{name}-asking"
        self._core.create_namespaced_pod(self.namespace, _pod(pod, container))

        def said() -> str:
            try:
                return str(self._core.read_namespaced_pod_log(pod, self.namespace))
            except client.ApiException as error:
                if error.status != 400:
                    raise
                return ""  # its container is not there yet

        try:
            yield said
        finally:
            self._core.delete_namespaced_pod(pod, self.namespace, grace_period_seconds=0)

    def run_script(self, name: str, claim: str, script: str) -> str:
        """Run a shell script in a pod of the stage image with the claim at /claim; its output."""
        example = self._batch.read_namespaced_job("travel-tiny-make-model", self.namespace)
        container = {
            "name": "script",
            "image": example.spec.template.spec.containers[0].image,
            "command": ["sh", "-ec", script],
            "volumeMounts": [{"name": "claim", "mountPath": "/claim"}],
        }
        volume = {"name": "claim", "persistentVolumeClaim": {"claimName": claim}}
        self._core.create_namespaced_pod(self.namespace, _pod(name, container, volume))

        def phase() -> str:
            return str(self._core.read_namespaced_pod(name, self.namespace).status.phase)

        eventually(f"the end of pod {name}", lambda: phase() in ("Succeeded", "Failed"))
        said = self._core.read_namespaced_pod_log(name, self.namespace)
        assert phase() == "Succeeded", said
        self._core.delete_namespaced_pod(name, self.namespace)
        return str(said)

    # The node and the operator

    def advertise_gpus(self, count: int, product: str = "") -> None:
        hack("cluster", "gpu", str(count), *(["--product", product] if product else []))

    def offer_small_volume(self, size: str) -> str:
        """A volume that is truly so small; the name of its StorageClass."""
        hack("cluster", "volumes", "1", "--tmpfs", size, "--size", "1Gi")
        return "tmpfs"

    def leading_pid(self) -> int:
        """The process on this machine that holds the operator's Lease; 0 if there is none."""
        lease = self._leases.read_namespaced_lease("olive-operator", "olive-system")
        pods = self.pods("app.kubernetes.io/name=olive-operator", "olive-system")
        uids = [p.metadata.uid for p in pods if p.metadata.name == lease.spec.holder_identity]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                groups = (process / "cgroup").read_text()
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"olive_operator" in words and any(uid in groups for uid in uids):
                return int(process.name)
        return 0

    def run_kubectl(self, *arguments: str, stdin: Any = None) -> str:
        """What kubectl answers in this namespace."""
        done = subprocess.run(
            [self.kubectl, "--namespace", self.namespace, *arguments],
            input=json.dumps(stdin) if stdin is not None else None,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Objects of this namespace, as kubectl applies them."""
        for manifest in manifests:
            self.run_kubectl("apply", "--filename=-", stdin=manifest)

    @contextmanager
    def served(self, name: str) -> Iterator[openai.OpenAI]:
        """The official client of a job's serving, through a port-forward."""
        command = (self.kubectl, f"--kubeconfig={self.kubeconfig}")
        with (
            forwarded(command, self.namespace, f"{name}-serving") as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as found,
        ):
            yield found

    def _trouble(self) -> str:
        events = self.run_kubectl("get", "events", "--sort-by=.lastTimestamp")
        return "\n".join(events.splitlines()[-15:])

    @property
    def _jobs(self) -> tuple[str, str, str, str]:
        return (*GROUP, self.namespace, "optimizationjobs")

    @property
    def _custom(self) -> Any:
        return client.CustomObjectsApi(self.api)

    @property
    def _core(self) -> Any:
        return client.CoreV1Api(self.api)

    @property
    def _leases(self) -> Any:
        return client.CoordinationV1Api(self.api)

    @property
    def _batch(self) -> Any:
        return client.BatchV1Api(self.api)

    @property
    def _apps(self) -> Any:
        return client.AppsV1Api(self.api)


def _pod(name: str, container: dict[str, Any], *volumes: dict[str, Any]) -> dict[str, Any]:
    """Restricted, as the namespace wants it."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{**container, "securityContext": security}],
            "volumes": list(volumes),
        },
    }
