"""What the measuring client tells, followed while it comes, and samples of what processes take."""

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from controller_parts.operator import Usage, usage
from controller_parts.program import Program
from controller_parts.timeline import Event, Timeline


class Observer:
    """The timeline as the client in a process of its own sees it."""

    def __init__(self, kubeconfig: Path, inputs: dict[str, frozenset[str]]) -> None:
        self.timeline = Timeline(inputs)
        self.last = time.monotonic()
        self._program = Program("measure", str(kubeconfig))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Observer":
        return self

    def __exit__(self, *_: object) -> None:
        self._program.end()
        self._thread.join()

    def _read(self) -> None:
        for line in self._program.lines:
            self.timeline.add(Event(**json.loads(line)))
            self.last = time.monotonic()


@dataclass(frozen=True)
class Sample:
    """What every process had used at an instant, and how many stages had finished.

    ``load`` is the machine's: processes that run or would, in the last minute, everybody's.
    """

    at: float
    finished: int
    usage: dict[str, Usage]
    load: float

    @staticmethod
    def of(pids: dict[str, int], timeline: Timeline) -> "Sample":
        used = {name: usage(pid) for name, pid in pids.items()}
        return Sample(time.monotonic(), len(timeline.finished), used, os.getloadavg()[0])


def cores(first: Sample, last: Sample) -> dict[str, float]:
    """How many cores each process kept busy between two samples, the busiest first."""
    seconds = last.at - first.at
    found = {
        name: round((used.cpu_s - first.usage[name].cpu_s) / seconds, 3)
        for name, used in last.usage.items()
    }
    return dict(sorted(found.items(), key=lambda one: -one[1]))
