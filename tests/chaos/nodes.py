"""Nodes and a volume that are played: pods take their time, and die with their node or by accident.

The volume is a model: which artifacts are whole on which claim. So it can be told afterwards what
was lost, and what was made twice.
"""

import random
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

from apiserver.standin_node import StandInNode
from apiserver.standin_node import _now as now
from kubernetes import client
from urllib3.exceptions import HTTPError

from olive_contract.failures import FailureClass
from olive_contract.keys import content_key
from olive_contract.stage import Report, StageInput
from olive_operator import labels

Place = tuple[str, str]
"""A claim and an address or key."""


class Volume:
    """``whole``: the artifacts that are there. ``overlaps``: what two pods worked on at once."""

    def __init__(self) -> None:
        self.whole: set[Place] = set()
        self.built: Counter[Place] = Counter()
        self.overlaps: list[str] = []
        self.full = False
        self._at_work: dict[Place, set[str]] = {}
        self._lock = threading.Lock()

    def begin(self, place: Place, pod: str) -> set[str]:
        """The pods that are at the same work already."""
        with self._lock:
            pods = self._at_work.setdefault(place, set())
            others = set(pods)
            pods.add(pod)
        return others

    def end(self, place: Place, pod: str) -> None:
        with self._lock:
            self._at_work[place].discard(pod)

    def made(self, given: StageInput, claim: str) -> Report:
        """The stage comes to its end now."""
        with self._lock:
            missing = [key for key in given.inputs.values() if (claim, key) not in self.whole]
            if missing:
                return _failed(FailureClass.INPUT_MISSING, missing[0])
            key = given.key or content_key("x", str(given.params["source"]))
            cached = (claim, key) in self.whole
            if not cached and self.full:
                return _failed(FailureClass.DISK_FULL)
            if not cached:
                self.whole.add((claim, key))
                self.built[claim, key] += 1
        return Report("Succeeded", key=key, cached=cached, seconds=1.0, sizeBytes=7)


class Nodes(StandInNode):
    """``names``: the nodes that there are; a pod runs on one of them."""

    def __init__(self, api: Any, namespace: str, volume: Volume, seed: int) -> None:
        super().__init__(api, namespace)
        self._batch, self._custom = client.BatchV1Api(api), client.CustomObjectsApi(api)
        self.volume, self.names = volume, [f"node-{n}" for n in range(5)]
        self.pods: dict[str, str] = {}
        self._told: dict[str, threading.Event] = {}
        self._random = random.Random(seed)  # noqa: S311

    def lose(self, draw: random.Random) -> list[str]:
        """The pods of a node that goes away, one of those that have any."""
        placed = dict(self.pods)
        node = draw.choice(sorted(set(placed.values())) or [""])
        return [pod for pod, where in placed.items() if where == node]

    def boot(self) -> None:
        """Every pod is begun anew: the API server has gone back in time, and the nodes with it."""
        told, self._told = self._told, {}
        for stop in told.values():
            stop.set()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            with suppress(client.ApiException, HTTPError):
                self._watch(self._told)

    def _play(self, pod: Any, stop: threading.Event) -> None:
        if pod.status.phase in ("Succeeded", "Failed"):
            return
        given = StageInput.from_json(pod.spec.containers[0].args[0])
        notes, name = pod.metadata.annotations, pod.metadata.name
        claim = notes[labels.CLAIM]
        place, started = (claim, notes[labels.ADDRESS]), now()
        self._stop.wait(self._random.uniform(0, 0.1))
        self.pods[name] = self._random.choice(self.names)
        others = self.volume.begin(place, name)
        try:
            there = sorted(other for other in others if self._is_there(other))
            if there and self._is_there(name):
                self.volume.overlaps.append(f"{name} beside {', '.join(there)}")
            self._patch(pod, "Running", {"running": {"startedAt": started}})
            if stop.wait(self._random.uniform(0.05, 1.0)) or self._stop.is_set():
                return
            report = self.volume.made(given, claim)
        finally:
            self.volume.end(place, name)
            self.pods.pop(name, None)
        self._end(pod, report.outcome, started, report)

    def _is_there(self, pod: str) -> bool:
        """And its attempt and job as well; what was deleted ends a moment later, pods last."""
        try:
            found = self._core.read_namespaced_pod(pod, self._namespace)
            attempt = self._batch.read_namespaced_job(_owner(found).name, self._namespace)
            where = (labels.GROUP, labels.VERSION, self._namespace, "optimizationjobs")
            job = self._custom.get_namespaced_custom_object(*where, _owner(attempt).name)
        except (client.ApiException, HTTPError):
            return False
        is_its_own = job["metadata"]["uid"] == _owner(attempt).uid
        return is_its_own and attempt.metadata.deletion_timestamp is None


def _owner(found: Any) -> Any:
    return found.metadata.owner_references[0]


def _failed(why: FailureClass, missing: str = "") -> Report:
    return Report("Failed", reason=why, message="as it happens", missing=missing)
