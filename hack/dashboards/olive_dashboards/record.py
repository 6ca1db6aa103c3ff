"""Recording what a cluster's operators and servings tell, as a Prometheus would have scraped it.

Each round asks every pod for its metrics by way of the API server, and writes the samples with the
labels that the chart's monitors give them: OpenMetrics with an instant for each sample.
"""

import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_OURS = "app.kubernetes.io/managed-by=olive-operator,app.kubernetes.io/component=serving"
_OPERATOR = "app.kubernetes.io/component=operator"
_LEFT_OUT = ("python_gc_", "python_info", "process_virtual", "process_open", "process_max")


@dataclass(frozen=True)
class Pod:
    """Where metrics are; ``job``: which OptimizationJob's, if it is a serving's."""

    namespace: str
    name: str
    port: int
    job: str = ""

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}:{self.port}/proxy/metrics"

    @property
    def labels(self) -> dict[str, str]:
        """Those of the target; the operator's series have a namespace of their own."""
        place = {"instance": f"{self.name}:{self.port}", "pod": self.name}
        if self.job:
            return {"job": "servings", "namespace": self.namespace, "job_name": self.job, **place}
        return {"job": "olive-operator", **place}


class Kubectl:
    """The cluster, as the environment's kubeconfig names it."""

    def __init__(self, program: str) -> None:
        self._program = program

    def pods(self, namespace: str) -> Iterator[Pod]:
        """Every pod that has metrics now."""
        for found in self._running("-n", namespace, "-l", _OPERATOR):
            yield Pod(namespace, found["name"], 8080)
        for found in self._running("-A", "-l", _OURS):
            job = found["labels"]["olive-operator.io/job"]
            yield Pod(found["namespace"], found["name"], 8081, job)

    def metrics(self, pod: Pod) -> str:
        """What it tells; CalledProcessError if it does not answer."""
        return self._call("get", "--raw", pod.path)

    def _running(self, *which: str) -> Iterator[dict[str, Any]]:
        running = ("--field-selector", "status.phase=Running")
        found = json.loads(self._call("get", "pods", *which, *running, "-o", "json"))
        for item in found["items"]:
            yield item["metadata"]

    def _call(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._program, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout


def record(to: Path, kubectl: str, namespace: str, every: float, ends: threading.Event) -> None:
    """Write a round, and others until it ends; the file is whole whenever that is."""
    cluster = Kubectl(kubectl)
    with gzip.open(to, "wt") as file:
        try:
            while True:
                _round(cluster, namespace, file)
                if ends.wait(every):
                    break
        finally:
            file.write("# EOF\n")


def _round(cluster: Kubectl, namespace: str, file: IO[str]) -> None:
    try:
        pods = list(cluster.pods(namespace))
    except subprocess.CalledProcessError as error:
        print(error.stderr.strip(), file=sys.stderr)
        return
    for pod in pods:
        try:
            told = cluster.metrics(pod)
        except subprocess.CalledProcessError as error:
            print(f"{pod.namespace}/{pod.name}: {error.stderr.strip()}", file=sys.stderr)
            continue
        file.writelines(lines(told, pod.labels, time.time()))


def lines(told: str, target: dict[str, str], at: float) -> Iterator[str]:
    """A page of metrics as samples of one instant; a label of the page's own goes before."""
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            if not sample.name.startswith(_LEFT_OUT) and not sample.name.endswith("_created"):
                yield _line(sample, {**target, **sample.labels}, at)


def _line(sample: Sample, labels: dict[str, str], at: float) -> str:
    named = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{sample.name}{{{named}}} {sample.value!r} {at:.3f}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
