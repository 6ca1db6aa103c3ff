"""Nodes that come and go, and their kubelet: pods take their time, and die with their node.

kwok keeps the nodes ready and plays the pods of servings. Those of stages and sweeps are played
here, so that it is known what was done twice, and what was taken from whoever worked with it.
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apiserver.standin_node import StandInNode
from apiserver.standin_node import _now as now
from kubernetes import client
from urllib3.exceptions import HTTPError

from chaos.volume import Place, Volume
from olive_contract.failures import FailureClass
from olive_contract.stage import Report, StageInput
from olive_contract.sweep import Sweep
from olive_operator import labels, names, records

LATE = timedelta(seconds=2)
"""Between a record and an attempt that should have known of it: Kubernetes tells whole seconds."""


@dataclass(frozen=True)
class Done:
    """A pod that has succeeded, what it made, and the upsets of that until then."""

    pod: str
    place: Place
    upsets: int


class Nodes(StandInNode):
    """``doubled``: work that was done although it was done, or by two pods at one time."""

    def __init__(self, api: Any, namespace: str, volume: Volume, seed: int) -> None:
        super().__init__(api, namespace, scheduled=True)
        self._batch, self._custom = client.BatchV1Api(api), client.CustomObjectsApi(api)
        self.volume, self.doubled = volume, list[str]()
        self._told: dict[str, threading.Event] = {}
        self._placed: dict[threading.Event, str] = {}
        self._crashed: set[threading.Event] = set()
        self._done: dict[str, Done] = {}
        self._random = random.Random(seed)  # noqa: S311
        self._manifests = {n.metadata.name: _manifest(n) for n in self._core.list_node().items}

    def away(self) -> list[str]:
        """The nodes that are gone."""
        there = {node.metadata.name for node in self._core.list_node().items}
        return sorted(self._manifests.keys() - there)

    def lose(self, draw: random.Random) -> None:
        """A node is removed with all that runs on it, one of those where something does."""
        node = draw.choice(sorted(set(self._placed.values()) or self._manifests.keys()))
        self._core.delete_node(node)
        self._crash({stop for stop, where in self._placed.copy().items() if where == node})

    def come_back(self, node: str) -> None:
        """The node, without the pods that it had: garbage collection, were it faster."""
        on_it = f"spec.nodeName={node}"
        for pod in self._core.list_namespaced_pod(self._namespace, field_selector=on_it).items:
            self._collect(pod.metadata.name, pod.status.phase in ("Succeeded", "Failed"))
        self._core.create_node(self._manifests[node])

    def boot(self) -> None:
        """Every pod is begun anew: the API server has gone back in time, and the nodes with it."""
        told = dict(self._told)
        self._crash(set(told.values()))
        for uid in told:  # only now: no pod may be played twice at a time
            self._told.pop(uid, None)
        self._done.clear()

    def _crash(self, stops: set[threading.Event]) -> None:
        """They end at once, and none is at work any more when this is over."""
        self._crashed |= stops
        for stop in stops:
            stop.set()
        while stops & self._placed.keys():
            self._stop.wait(0.01)

    def _collect(self, pod: str, ended: bool) -> None:
        target = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
        body = {"status": {"phase": "Failed", "conditions": [target]}}
        where = pod, self._namespace
        if not ended:
            self._asked(lambda: self._core.patch_namespaced_pod_status(*where, body))
        self._asked(lambda: self._core.delete_namespaced_pod(*where, grace_period_seconds=0))

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            with suppress(client.ApiException, HTTPError):
                self._keep_ready()
                self._watch(self._told)

    def _keep_ready(self) -> None:
        """A node that was not heard of for a while takes its pods for not ready; they are."""
        ready = {"type": "Ready", "status": "True"}
        of = f"{labels.COMPONENT}=serving"
        for pod in self._core.list_namespaced_pod(self._namespace, label_selector=of).items:
            told = {c.type: c.status for c in pod.status.conditions or []}
            if told.get("Ready") == "False" and pod.status.phase == "Running":
                body = {"status": {"conditions": [ready]}}
                self._core.patch_namespaced_pod_status(pod.metadata.name, self._namespace, body)

    def _play(self, pod: Any, stop: threading.Event) -> None:
        ended = pod.status.phase in ("Succeeded", "Failed")
        if ended or stop in self._crashed:
            return
        node, started = pod.spec.node_name, now()
        self._placed[stop] = node  # before the node is looked for: one that goes now stops it
        try:
            if not self._asked(lambda: self._core.read_node(node)):
                self._told.pop(pod.metadata.uid, None)  # it is begun when the node comes back
                return
            report = self._report(pod, stop, started)
        finally:
            del self._placed[stop]
        if report and stop not in self._crashed and not self._stop.is_set():
            self._end(pod, report.outcome, started, report)

    def _report(self, pod: Any, stop: threading.Event, started: str) -> Report:
        args, claim = pod.spec.containers[0].args, pod.metadata.annotations[labels.CLAIM]
        if args[0] == "sweep":
            return self._swept(claim, Sweep.from_json(args[1]), stop)
        given, address = StageInput.from_json(args[0]), pod.metadata.annotations[labels.ADDRESS]
        name, work = pod.metadata.name, _owner(pod).rpartition("-")[0]
        others = self.volume.makers((claim, address))
        reads = {(claim, key) for key in given.inputs.values()}
        self.volume.begin(name, (claim, address), reads)
        try:
            self._look_for_doubles(pod, work, others, (claim, given.key))
            self._patch(pod, "Running", {"running": {"startedAt": started}})
            if stop.wait(self._random.uniform(0.05, 1.0)):
                if stop not in self._crashed:  # it is told to stop, and comes to a good place
                    self._stop.wait(self._random.uniform(0, 0.5))
                return Report("Failed", reason=FailureClass.CANCELLED, message="told to stop")
            report = self.volume.made(name, given, claim)
        finally:
            self.volume.end(name)
        if report.outcome == "Succeeded" and self._wanted(pod):
            place = (claim, report.key)
            self._done[work] = Done(name, place, self.volume.upsets[place])
        return report

    def _swept(self, claim: str, given: Sweep, stop: threading.Event) -> Report:
        """Nothing that serves, or that somebody works with, is ever removed."""
        for key in given.keys:
            users = [pod for pod in self.volume.users((claim, key)) if self._found(pod)]
            if stop.is_set():
                break
            users += [c.metadata.name for c in self._configs() if key in _serves(c)]
            if users:
                self.volume.wrong.append(f"{key[:8]} is swept, and {', '.join(users)} need it")
            self.volume.remove((claim, key))
        return Report("Succeeded", message="swept")

    def _look_for_doubles(self, pod: Any, work: str, others: list[str], place: Place) -> None:
        """Another at the same work; done by the attempt before, or recorded long before this.

        Of one attempt Kubernetes itself may make two pods, where the answer to the first is lost.
        """
        name, last, same = pod.metadata.name, self._done.get(work), f"{_owner(pod)}-"
        beside = [o for o in others if not o.startswith(same) and self._found(o)]
        if beside and self._found(name):
            self.doubled.append(f"{now()} {name} beside {', '.join(beside)}")
        anew = last and not last.pod.startswith(same)
        if last and anew and last.upsets == self.volume.upsets[last.place]:
            found = self._found(last.pod)
            if found and not found.metadata.deletion_timestamp:
                self.doubled.append(f"{now()} {name}: {last.pod} has done it")
        where = (labels.GROUP, labels.VERSION, self._namespace, "artifacts", names.artifact(*place))
        record = self._asked(lambda: self._custom.get_namespaced_custom_object(*where))
        attempt = record and self._asked(
            lambda: self._batch.read_namespaced_job(_owner(pod), self._namespace)
        )
        if attempt and attempt.metadata.creation_timestamp - _created(record) > LATE:
            self.doubled.append(f"{now()} {name}: {place[1][:8]} was made, and recorded")

    def _wanted(self, pod: Any) -> bool:
        """Its attempt is not withdrawn; of one that is, the end tells nobody anything."""
        found = self._asked(lambda: self._batch.read_namespaced_job(_owner(pod), self._namespace))
        return bool(found and not found.metadata.deletion_timestamp)

    def _found(self, pod: str) -> Any:
        """The pod, None if it is not there."""
        return self._asked(lambda: self._core.read_namespaced_pod(pod, self._namespace))

    def _configs(self) -> list[Any]:
        """What servings are told to serve."""
        of = f"{labels.COMPONENT}=serving"
        found = self._asked(
            lambda: self._core.list_namespaced_config_map(self._namespace, label_selector=of)
        )
        return found.items if found else []

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """The answer, however long the API server is away; None if it has no such thing."""
        while not self._stop.is_set():
            try:
                return ask()
            except client.ApiException as error:
                if error.status == 404:
                    return None
            except HTTPError:
                pass
            self._stop.wait(0.1)
        return None


def _owner(found: Any) -> str:
    name: str = found.metadata.owner_references[0].name
    return name


def _serves(config: Any) -> tuple[str, ...]:
    return records.served({"data": config.data})


def _created(record: Any) -> datetime:
    return datetime.fromisoformat(record["metadata"]["creationTimestamp"])


def _manifest(node: Any) -> dict[str, Any]:
    """Of a node as it was made."""
    room = node.status.capacity
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.metadata.name, "labels": node.metadata.labels},
        "status": {"capacity": room, "allocatable": room},
    }
