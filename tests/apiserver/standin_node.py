"""A stand-in for a node, where only the API server is real: it plays the kubelet for stage pods.

Every stage pod is started and reported to have succeeded, unless its stage is held. A fetch finds
its source's text as its content.
"""

import json
import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from kubernetes import client, watch

from olive_contract.keys import content_key
from olive_contract.stage import Report, StageInput

SELECTOR = "olive-operator.io/stage"


class StandInNode:
    """Works in a thread of its own between ``with`` and its end."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._core, self._namespace = client.CoreV1Api(api), namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ran: list[str] = []
        self.held: dict[str, threading.Event] = {}

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
        seen: set[str] = set()
        while not self._stop.is_set():
            events = watch.Watch().stream(
                self._core.list_namespaced_pod,
                self._namespace,
                label_selector=SELECTOR,
                timeout_seconds=1,
            )
            for event in events:
                pod = event["object"]
                if event["type"] != "DELETED" and pod.metadata.uid not in seen:
                    seen.add(pod.metadata.uid)
                    threading.Thread(target=self._play, args=(pod,), daemon=True).start()

    def _play(self, pod: Any) -> None:
        given = StageInput.from_json(pod.spec.containers[0].args[0])
        self.ran.append(given.name)
        started = _now()
        self._patch(pod, "Running", {"running": {"startedAt": started}})
        if given.name in self.held:
            self.held[given.name].wait(60)
        key = given.key or content_key("x", str(given.params["source"]))
        report = Report("Succeeded", key=key, seconds=1.5, sizeBytes=7, metrics={"perplexity": 9.0})
        ended = {
            "exitCode": 0,
            "reason": "Completed",
            "startedAt": started,
            "finishedAt": _now(),
            "message": report.to_json(),
        }
        self._patch(pod, "Succeeded", {"terminated": ended})

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
        try:
            self._core.patch_namespaced_pod_status(pod.metadata.name, self._namespace, body)
        except client.ApiException as error:
            if error.status != 404:
                raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def eventually(what: str, condition: Any, seconds: float = 30) -> Any:
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
