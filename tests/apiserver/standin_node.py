"""A stand-in for a node, where only the API server is real: it plays the kubelet for our pods.

Every pod of a sweep or a stage is started and reported to have succeeded, unless it is held. A
fetch finds its source's text as its content. A pod that is deleted while it runs says that it was
told to stop, when it has saved what it has.
"""

import json
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from kubernetes import client, watch
from urllib3.exceptions import HTTPError

from olive_contract.failures import FailureClass
from olive_contract.keys import content_key
from olive_contract.stage import Published, Report, StageInput
from olive_contract.sweep import Sweep

SELECTOR = "app.kubernetes.io/component in (stage, sweep)"


class StandInNode:
    """Works in a thread of its own between ``with`` and its end.

    ``scheduled``: a scheduler is there, and a pod is started only when it has a node.
    """

    def __init__(self, api: Any, namespace: str, scheduled: bool = False) -> None:
        self._scheduled = scheduled
        self._core, self._namespace = client.CoreV1Api(api), namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ran: list[str] = []
        self.swept: list[str] = []
        self.held: dict[str, threading.Event] = {}
        self.failing: dict[str, list[Report]] = {}
        """By stage: what its next pods report instead."""
        self.unpullable: set[str] = set()
        """Stages whose image cannot be pulled."""
        self.stopped: list[str] = []
        """Stages whose pod was told to stop while it ran."""
        self.saves = threading.Event()
        """Until this is set again, pods that are told to stop are saving what they have."""
        self.saves.set()

    def hold(self, stage: str) -> threading.Event:
        """Pods of this stage keep running until the event is set."""
        self.held[stage] = threading.Event()
        return self.held[stage]

    def __enter__(self) -> "StandInNode":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        told: dict[str, threading.Event] = {}
        while not self._stop.wait(0.01):
            # A node outlives an API server that goes away for a while.
            with suppress(client.ApiException, HTTPError):
                self._watch(told)

    def _watch(self, told: dict[str, threading.Event]) -> None:
        events = watch.Watch().stream(
            self._core.list_namespaced_pod,
            self._namespace,
            label_selector=SELECTOR,
            timeout_seconds=1,
        )
        for event in events:
            pod = event["object"]
            gone = event["type"] == "DELETED" or pod.metadata.deletion_timestamp
            if pod.metadata.uid in told:
                if gone:
                    told[pod.metadata.uid].set()
            elif event["type"] == "DELETED" or (self._scheduled and not pod.spec.node_name):
                continue
            elif gone:
                self._drop(pod)
            else:
                told[pod.metadata.uid] = stop = threading.Event()
                threading.Thread(target=self._play, args=(pod, stop), daemon=True).start()

    def _drop(self, pod: Any) -> None:
        """It was deleted before it was begun: a kubelet has nothing to wait for."""
        with suppress(client.ApiException):
            self._core.delete_namespaced_pod(
                pod.metadata.name, self._namespace, grace_period_seconds=0
            )

    def _play(self, pod: Any, stop: threading.Event) -> None:
        args = pod.spec.containers[0].args
        if args[0] == "sweep":
            self._sweep(pod, Sweep.from_json(args[1]))
            return
        given = StageInput.from_json(args[0])
        if given.name in self.unpullable:
            waits = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
            self._patch(pod, "Pending", {"waiting": waits})
            return
        self.ran.append(given.name)
        started = _now()
        self._patch(pod, "Running", {"running": {"startedAt": started}})
        if given.name in self.held and _told(stop, self.held[given.name]):
            self.stopped.append(given.name)
            self.saves.wait(60)
            report = Report("Failed", reason=FailureClass.CANCELLED, message="told to stop")
            self._end(pod, "Failed", started, report)
            return
        if reports := self.failing.get(given.name):
            self._end(pod, "Failed", started, reports.pop(0))
            return
        key = given.key or content_key("x", str(given.params["source"]))
        report = Report("Succeeded", key=key, seconds=1.5, sizeBytes=7, metrics={"perplexity": 9.0})
        if given.kind == "publish":
            version = Published(f"hf://acme/travel@{key[:12]}", "https://hub.example/acme/travel")
            report = replace(report, metrics={}, published=version)
        self._end(pod, "Succeeded", started, report)

    def _sweep(self, pod: Any, given: Sweep) -> None:
        started = _now()
        self._patch(pod, "Running", {"running": {"startedAt": started}})
        if "sweep" in self.held:
            self.held["sweep"].wait(60)
        self.swept += given.keys
        self._end(pod, "Succeeded", started, Report("Succeeded", message="swept"))

    def _end(self, pod: Any, phase: str, started: str, report: Report) -> None:
        ended = {
            "exitCode": 0 if phase == "Succeeded" else 143,
            "reason": "Completed" if phase == "Succeeded" else "Error",
            "startedAt": started,
            "finishedAt": _now(),
            "message": report.to_json(),
        }
        self._patch(pod, phase, {"terminated": ended})

    def _patch(self, pod: Any, phase: str, state: dict[str, Any]) -> None:
        container = {
            "name": "stage",
            "image": "x",
            "imageID": "x",
            "ready": phase == "Running",
            "restartCount": 0,
            "state": state,
        }
        body = {"status": {"phase": phase, "containerStatuses": [container]}}
        while not self._patched(pod, body):
            self._stop.wait(0.1)

    def _patched(self, pod: Any, body: dict[str, Any]) -> bool:
        """Whether it is told, or nobody is there any more to be told."""
        try:
            self._core.patch_namespaced_pod_status(pod.metadata.name, self._namespace, body)
        except client.ApiException as error:
            return bool(error.status == 404) or self._stop.is_set()
        except HTTPError:
            return self._stop.is_set()
        return True


def _told(stop: threading.Event, release: threading.Event) -> bool:
    """Wait until the pod is told to stop (then true), or its stage is held no longer."""
    for _ in range(4800):
        if release.is_set() or stop.wait(0.05):
            break
    return not release.is_set() and stop.is_set()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def eventually(what: str, condition: Any, seconds: float = 120) -> Any:
    """The condition's value as soon as it is true; AssertionError saying what did not come."""
    deadline = time.monotonic() + seconds
    found = condition()
    while not found:
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds:.0f} s")
        threading.Event().wait(0.05)
        found = condition()
    return found


def pretty(body: Any) -> str:
    """For messages of assertions."""
    return json.dumps(body, indent=1, default=str)
