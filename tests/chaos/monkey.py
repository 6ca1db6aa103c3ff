"""What goes wrong: every fault by its name, drawn by a seed, and who brings it about."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from apiserver.operators import Jobs, Operator
from kubernetes import client
from programs import hack
from urllib3.exceptions import HTTPError

from chaos.nodes import Nodes
from chaos.people import PEOPLE, People, all_of, sections, where
from olive_operator import labels, names

WEIGHTS: Final[dict[str, int]] = {
    "pod": 8,
    "attempt": 3,
    "record": 2,
    "artifact": 3,
    "leader": 3,
    "standby": 2,
    "node": 3,
    "disk": 1,
    "edits": 6,
    "suspend": 2,
    "anew": 2,
    "apiserver": 1,
    "etcd": 1,
}
KILLS: Final = ("pod", "leader", "standby", "apiserver", "etcd")
"""Faults by which a process dies, and nothing else is done."""
CAUSED: Final = frozenset({"DiskFull", "InputMissing", "Evicted", "Cancelled"})
"""Reasons of failures that the monkey is to blame for."""


class Monkey:
    """``faults``: how often what was hit. ``ages``: of the snapshots of etcd that were restored, in
    seconds. ``unjust``: jobs that had given up, or stood still, for a reason that nobody gave them.
    """

    def __init__(
        self, draw: random.Random, jobs: Jobs, nodes: Nodes, operators: list[Operator], plane: str
    ) -> None:
        self._draw, self._jobs, self._nodes = draw, jobs, nodes
        self._operators, self._plane = operators, plane
        self.people = People(jobs)
        self.faults: Counter[str] = Counter()
        self.ages: list[float] = []
        self.unjust: list[str] = []

    def plague(self, seconds: float, age: float, snapshot: Path) -> None:
        """One fault after the other, each some time after the last.

        Between them, as often as there is time, etcd goes back to what it was ``age`` seconds ago.
        """
        faults: dict[str, Callable[[], bool]] = {
            name: getattr(self, f"_{name}") for name in WEIGHTS
        }
        until = time.monotonic() + seconds
        back = self._back_in_time(age, until, snapshot)
        while time.monotonic() < until:
            next(back)
            self.keep_running()
            name = self._draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            with suppress(client.ApiException, HTTPError):
                self.faults[name] += faults[name]()
            time.sleep(self._draw.uniform(0.05, 0.6))

    def calm(self) -> None:
        """The faults stop. Somebody has those jobs retried that failed by them."""
        self._nodes.volume.full, self._nodes.volume.harm = False, ""
        for node in self._nodes.away():
            self._nodes.come_back(node)
        # Kubernetes' garbage collector may have missed for good what was deleted while the API
        # server came and went (kubernetes/kubernetes#60037, #101740): it looks anew.
        self._restart("controller-manager")
        self.keep_running()
        for job in all_of(self._jobs):
            name, status = job["metadata"]["name"], job.get("status", {})
            failed = [s for s in status.get("stages", []) if s["state"] == "Failed"]
            stalled = [c for c in status.get("conditions", []) if _is_true(c, "Stalled")]
            self.unjust += [
                f"{name}: {found['reason']}: {found.get('message')}"
                for found in (*failed, *stalled)
                if found["reason"] not in CAUSED
            ]
            if any(s.get("retryAt") or s in failed for s in status.get("stages", [])):
                patch = {"metadata": {"annotations": {labels.RETRY: "it is calm"}}}
                self._jobs.custom.patch_namespaced_custom_object(*where(self._jobs), name, patch)

    def keep_running(self) -> None:
        """An operator that ends is started again, as a pod would be."""
        for operator in self._operators:
            if not operator.runs:
                operator.start()

    def _back_in_time(self, age: float, until: float, snapshot: Path) -> Iterator[None]:
        while time.monotonic() + 1.5 * age < until:
            yield from _wait(age / 2)
            hack("cluster", "snapshot", str(snapshot), "--name", self._plane)
            taken, swept = time.monotonic(), len(self._nodes.volume.swept)
            yield from _wait(age)
            self.ages.append(round(time.monotonic() - taken, 1))
            hack("cluster", "restore", str(snapshot), "--name", self._plane)
            self.faults["restore"] += 1
            self._nodes.boot()
            # Of what was swept since, there are records again. That is for people to know.
            for place in set(self._nodes.volume.swept[swept:]) - self._nodes.volume.there.keys():
                self._delete_record(names.artifact(*place))
        while True:
            yield

    # Faults; whether something was hit

    def _pod(self) -> bool:
        pods = self._jobs.pods()
        for pod in self._draw.sample(pods, min(1, len(pods))):
            grace = self._draw.choice((0, None))
            options = {} if grace is None else {"grace_period_seconds": grace}
            self._jobs.core.delete_namespaced_pod(pod, self._jobs.namespace, **options)
        return bool(pods)

    def _node(self) -> bool:
        """One goes, or one that has gone comes back."""
        away = self._nodes.away()
        if away and self._draw.random() < 0.6:
            self._nodes.come_back(self._draw.choice(away))
            return False
        self._nodes.lose(self._draw)
        return True

    def _attempt(self) -> bool:
        names = self._jobs.attempts()
        if names:
            self._jobs.batch.delete_namespaced_job(
                self._draw.choice(names), self._jobs.namespace, propagation_policy="Foreground"
            )
        return bool(names)

    def _record(self) -> bool:
        records = self._jobs.artifacts()
        if records:
            found = self._draw.choice(records)
            self._nodes.volume.forget((found["spec"]["claim"], found["spec"]["key"]))
            self._delete_record(found["metadata"]["name"])
        return bool(records)

    def _artifact(self) -> bool:
        """The next one that is read is not there, or not what was written."""
        self._nodes.volume.harm = self._draw.choice(("lost", "damaged"))
        return True

    def _leader(self) -> bool:
        return self._kill(True)

    def _standby(self) -> bool:
        return self._kill(False)

    def _disk(self) -> bool:
        self._nodes.volume.full = not self._nodes.volume.full
        return self._nodes.volume.full

    def _edits(self) -> bool:
        wishes = [sections(self._draw) for _ in range(PEOPLE)]
        self.people.edit_at_once(self._one(), wishes)
        return True

    def _suspend(self) -> bool:
        name = self._one()
        body = self._jobs.get(name)["spec"]
        self._jobs.edit(name, {**body, "suspend": not body.get("suspend", False)})
        return True

    def _anew(self) -> bool:
        name = self._one()
        self._jobs.delete(name)
        self._jobs.create(name, sections(self._draw))
        return True

    def _apiserver(self) -> bool:
        return self._restart("apiserver")

    def _etcd(self) -> bool:
        return self._restart("etcd")

    def _restart(self, program: str) -> bool:
        hack("cluster", "stop", program, "--name", self._plane)
        time.sleep(self._draw.uniform(0, 1))
        hack("cluster", "start", program, "--name", self._plane)
        return True

    def _kill(self, leader: bool) -> bool:
        hit = [o for o in self._operators if o.leads() == leader]
        if hit:
            hit[0].stop(self._draw.choice((signal.SIGKILL, signal.SIGTERM)))
            hit[0].start()
        return bool(hit)

    # How they are brought about

    def _one(self) -> str:
        name: str = self._draw.choice([job["metadata"]["name"] for job in all_of(self._jobs)])
        return name

    def _delete_record(self, name: str) -> None:
        what = (labels.GROUP, labels.VERSION, self._jobs.namespace, "artifacts", name)
        with suppress(client.ApiException):
            self._jobs.custom.delete_namespaced_custom_object(*what)


def _wait(seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield


def _is_true(condition: dict[str, str], kind: str) -> bool:
    return (condition["type"], condition["status"]) == (kind, "True")
