"""What goes wrong: every fault by its name, drawn by a seed, and who brings it about."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from apiserver.operators import Jobs, Operator
from builders import adapter, spec
from kubernetes import client
from programs import hack
from urllib3.exceptions import HTTPError

from chaos.nodes import Nodes
from olive_operator import labels

MODELS: Final = ("tiny", "small", "other")
WEIGHTS: Final[dict[str, int]] = {
    "pod": 8,
    "attempt": 3,
    "record": 2,
    "leader": 3,
    "standby": 2,
    "node": 2,
    "disk": 1,
    "edits": 4,
    "suspend": 2,
    "anew": 2,
    "apiserver": 1,
    "etcd": 1,
    "restore": 1,
}


def sections(draw: random.Random) -> dict[str, Any]:
    """A job that shares its base with others, more or less."""
    names = draw.sample(["travel", "food", "law"], draw.randint(0, 2))
    return spec(
        serve=None,
        evaluate=None,
        model={"source": f"pvc://models/{draw.choice(MODELS)}"},
        quantize=draw.choice(({"algorithm": "rtn", "groupSize": 32}, None)),
        adapters=[adapter(name, rank=draw.choice((8, 16))) for name in names],
        retry={"limit": 20, "backoff": "1s"},
    )


def names(jobs: Jobs) -> list[str]:
    """Of the jobs that there are."""
    found = jobs.custom.list_namespaced_custom_object(*_where(jobs))["items"]
    return [job["metadata"]["name"] for job in found]


def annotate_retry(jobs: Jobs, name: str) -> None:
    """Have what has failed tried again."""
    patch = {"metadata": {"annotations": {labels.RETRY: "it is calm"}}}
    jobs.custom.patch_namespaced_custom_object(*_where(jobs), name, patch)


def _where(jobs: Jobs) -> tuple[str, ...]:
    return labels.GROUP, labels.VERSION, jobs.namespace, "optimizationjobs"


class Monkey:
    """``kills``: how often what was hit."""

    def __init__(
        self, draw: random.Random, jobs: Jobs, nodes: Nodes, operators: list[Operator], plane: str
    ) -> None:
        self._draw, self._jobs, self._nodes = draw, jobs, nodes
        self._operators, self._plane = operators, plane
        self._snapshot: Path | None = None
        self._folder = Path()
        self.kills: Counter[str] = Counter()

    def plague(self, seconds: float, folder: Path) -> None:
        """One fault after the other, each some time after the last."""
        self._folder = folder
        faults: dict[str, Callable[[], bool]] = {
            name: getattr(self, f"_{name}") for name in WEIGHTS
        }
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            name = self._draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            with suppress(client.ApiException, HTTPError):
                self.kills[name] += faults[name]()
            time.sleep(self._draw.uniform(0.05, 0.6))

    def calm(self) -> None:
        """The faults stop. Somebody has the failed jobs retried, now that the disk is larger."""
        self._nodes.volume.full = False
        for operator in self._operators:
            if not operator.runs:
                operator.start()
        for name in names(self._jobs):
            annotate_retry(self._jobs, name)

    # Faults; whether something was hit

    def _pod(self) -> bool:
        pods = self._jobs.pods()
        return self._delete_pods(self._draw.sample(pods, min(1, len(pods))))

    def _node(self) -> bool:
        return self._delete_pods(self._nodes.lose(self._draw))

    def _attempt(self) -> bool:
        names = self._jobs.attempts()
        if names:
            self._jobs.batch.delete_namespaced_job(
                self._draw.choice(names), self._jobs.namespace, propagation_policy="Foreground"
            )
        return bool(names)

    def _record(self) -> bool:
        records = [a["metadata"]["name"] for a in self._jobs.artifacts()]
        if records:
            where = (labels.GROUP, labels.VERSION, self._jobs.namespace, "artifacts")
            self._jobs.custom.delete_namespaced_custom_object(*where, self._draw.choice(records))
        return bool(records)

    def _leader(self) -> bool:
        return self._kill(True)

    def _standby(self) -> bool:
        return self._kill(False)

    def _disk(self) -> bool:
        self._nodes.volume.full = not self._nodes.volume.full
        return self._nodes.volume.full

    def _edits(self) -> bool:
        """Two people at once, who do not know of each other."""
        for name in self._draw.choices(names(self._jobs), k=20):
            self._jobs.edit(name, sections(self._draw))
        return True

    def _suspend(self) -> bool:
        name = self._draw.choice(names(self._jobs))
        body = self._jobs.get(name)["spec"]
        self._jobs.edit(name, {**body, "suspend": not body.get("suspend", False)})
        return True

    def _anew(self) -> bool:
        name = self._draw.choice(names(self._jobs))
        self._jobs.delete(name)
        self._jobs.create(name, sections(self._draw))
        return True

    def _apiserver(self) -> bool:
        return self._restart("apiserver")

    def _etcd(self) -> bool:
        return self._restart("etcd")

    def _restore(self) -> bool:
        """The first time a snapshot is taken, the next time it is what there is."""
        if self._snapshot is None:
            self._snapshot = self._folder / "etcd.db"
            hack("cluster", "snapshot", str(self._snapshot), "--name", self._plane)
            return False
        hack("cluster", "restore", str(self._snapshot), "--name", self._plane)
        self._nodes.boot()
        self._snapshot = None
        return True

    def _restart(self, program: str) -> bool:
        hack("cluster", "stop", program, "--name", self._plane)
        time.sleep(self._draw.uniform(0, 1))
        hack("cluster", "start", program, "--name", self._plane)
        return True

    def _kill(self, leader: bool) -> bool:
        for operator in self._operators:
            if not operator.runs:
                operator.start()
        hit = [o for o in self._operators if o.leads() == leader]
        if hit:
            hit[0].stop(self._draw.choice((signal.SIGKILL, signal.SIGTERM)))
            hit[0].start()
        return bool(hit)

    def _delete_pods(self, pods: list[str]) -> bool:
        for pod in pods:
            with suppress(client.ApiException):
                self._jobs.core.delete_namespaced_pod(
                    pod, self._jobs.namespace, grace_period_seconds=0
                )
        return bool(pods)
