"""How long nobody works when the operator that leads is lost: two of them, on a real API server.

    python bench/takeover.py [--times 3]

A control plane of hack/cluster without nodes, and two operators with the Lease that the chart sets.
The one that leads is killed (SIGKILL), told to stop (SIGTERM) or frozen (SIGSTOP), and a job is
created at that moment. Counted are the seconds until the other one leads and that job has a status.
Each is done ``--times`` times. A table, then JSON in the last line with the longest of each, kept
as bench/results/takeover.json.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml
from controller_parts import jobs
from controller_parts.operator import Operator
from kubernetes import client, config
from machine import ROOT, keep

NAME: Final = "bench-takeover"
SYSTEM: Final = "olive-system"
WHERE: Final = ("olive-operator.io", "v1alpha1", SYSTEM, "optimizationjobs")
FAULTS: Final = {
    "killed_s": signal.SIGKILL,
    "stopped_s": signal.SIGTERM,
    "frozen_s": signal.SIGSTOP,
}
WAIT_S: Final = 120.0


def main() -> None:
    """Measure each fault in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    times = parser.parse_args().times
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is taken down
    found: dict[str, list[float]] = {name: [] for name in FAULTS}
    with _control_plane() as kubeconfig, TemporaryDirectory(prefix="olive-bench-") as folder:
        made = client.CustomObjectsApi(config.new_client_from_config(str(kubeconfig)))
        for number in range(times):
            for name, fault in FAULTS.items():
                where = Path(folder) / f"{fault.name.lower()}-{number}"
                first, second = (
                    Candidate(kubeconfig, where / pod, pod) for pod in ("operator-0", "operator-1")
                )
                with first, second:
                    found[name].append(_measure(made, first, second, fault, where.name))
    for name, seconds in found.items():
        print(f"{name:12}", *(f"{one:8.2f}" for one in seconds))
    longest = {name: round(max(seconds), 2) for name, seconds in found.items()}
    keep("takeover", {**longest, "all": found, "lease": _lease()})


class Candidate(Operator):
    """One of two pods, with the Lease as the chart's values have it."""

    def __init__(self, kubeconfig: Path, folder: Path, pod: str) -> None:
        folder.mkdir(parents=True)
        super().__init__(kubeconfig, folder, ROOT)
        self._environment["POD_NAME"] = pod
        settings = yaml.safe_load(self._config.read_text())
        lease = {**_lease(), "namespace": SYSTEM}
        self._config.write_text(yaml.safe_dump({**settings, "lease": lease}))

    @property
    def leads(self) -> bool:
        return self.measured("olive_leading") == 1


def _measure(
    made: Any, first: Candidate, second: Candidate, fault: signal.Signals, job: str
) -> float:
    """Seconds from the fault of the one that leads until the other has begun with a new job."""
    _until("one leads", lambda: first.leads or second.leads)
    leader, other = (first, second) if first.leads else (second, first)
    _until("the other stands by", lambda: "everything is listed" in other.last_words)
    began = time.monotonic()
    os.kill(leader.pid, fault)
    made.create_namespaced_custom_object(*WHERE, _job(job))

    def has_status() -> bool:
        return "status" in made.get_namespaced_custom_object(*WHERE, job)

    _until("the other leads", lambda: other.leads and has_status())
    return round(time.monotonic() - began, 2)


def _job(name: str) -> dict[str, Any]:
    whole = jobs.job(0)
    return {**whole, "metadata": {"name": name, "namespace": SYSTEM}}


def _lease() -> dict[str, Any]:
    values = yaml.safe_load((ROOT / "charts" / "olive-operator" / "values.yaml").read_text())
    found: dict[str, Any] = values["lease"]
    return found


def _until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {WAIT_S:.0f} s")
        time.sleep(0.02)


@contextmanager
def _control_plane() -> Iterator[Path]:
    """The kubeconfig of one that knows our kinds."""
    _hack("down", "--name", NAME)  # what a bench that was killed may have left
    kubeconfig = Path(_hack("up", "--control-plane", "--name", NAME))
    try:
        kubectl = [_hack("tool", "kubectl"), f"--kubeconfig={kubeconfig}"]
        crds = f"--filename={ROOT / 'crds'}"
        _run(*kubectl, "create", "namespace", SYSTEM)
        _run(*kubectl, "apply", "--server-side", crds)
        _run(*kubectl, "wait", "--for=condition=Established", "--timeout=30s", crds)
        yield kubeconfig
    finally:
        _hack("down", "--name", NAME)


def _hack(*arguments: str) -> str:
    told = _run(sys.executable, str(ROOT / "hack" / "cluster"), *arguments)
    return told.splitlines()[-1] if told else ""


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
