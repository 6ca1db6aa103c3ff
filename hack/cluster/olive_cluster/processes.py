"""The processes of a cluster: started, watched and ended by pid *and* start time.

A pid alone may have passed to somebody else's process; with its start time it cannot.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from olive_cluster.places import Places
from olive_cluster.shell import ClusterError

POLL = 0.05
ENVIRONMENT = {"GOGC": "400"}
"""At Go's own pace a sixth of what the API server does is collecting garbage. Here memory is easier
to come by than processors."""


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None where none lives under that pid."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A zombie is dead: nobody may be left to reap it but process 1, in its own time. But until its
    # last thread has ended as well, its ports and files are taken.
    state, threads, started = fields[0], int(fields[17]), fields[19]
    return None if state in "ZX" and threads <= 1 else started


class Processes:
    """What runs for one cluster. `enter` is put before every command (nsenter, or nothing)."""

    def __init__(self, places: Places, enter: Sequence[str] = ()) -> None:
        self.places = places
        self.enter = list(enter)

    def start(self, name: str, command: Sequence[str]) -> int:
        """Start a process that outlives this one, with its output in the log of its name."""
        command = [*self.enter, *command]
        with (self.places.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.places.root,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.record(name, process.pid, command)
        return process.pid

    def record(self, name: str, pid: int, command: Sequence[str] = ()) -> None:
        """Note a process as one of ours, and the command that starts it again."""
        (self.places.pids / name).write_text(f"{pid} {start_time(pid)}\n{json.dumps(command)}")

    def start_again(self, name: str) -> None:
        """Start a process by the command that started it before, unless it is running."""
        command = self._noted(name)[1]
        if self.pid(name) is None:
            self.start(name, json.loads(command))

    def stop(self, name: str) -> None:
        """Kill a process, if it is running, and wait until it is gone."""
        self._noted(name)
        self._kill([name])

    def pid(self, name: str) -> int | None:
        """The pid of a process of ours, or None where it is not running."""
        try:
            pid, started = self._noted(name)[0].split()
        except (ClusterError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def all(self) -> dict[str, int | None]:
        """Every process ever started for this cluster, with its pid while it runs."""
        if not self.places.pids.is_dir():
            return {}
        return {path.name: self.pid(path.name) for path in sorted(self.places.pids.iterdir())}

    def until(
        self,
        what: str,
        condition: Callable[[], bool],
        seconds: float = 60,
        needed: Sequence[str] = (),
    ) -> None:
        """Wait for a condition; stop early, with the log's end, when a process that is needed for
        it (by default each) has died.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [name for name in needed or self.all() if self.pid(name) is None]
            if dead:
                raise ClusterError(f"no {what}: {dead[0]} ended\n{self.log_end(dead[0])}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"after {seconds:.0f} s there is still no {what}: see the logs in "
                    f"{self.places.logs}"
                )
            time.sleep(POLL)

    def log_end(self, name: str, lines: int = 15) -> str:
        """The last lines of a process's log, under its path."""
        path = self.places.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join([f"{path}:", *(f"  {line}" for line in text.splitlines()[-lines:])])

    def end(self) -> None:
        """Kill all of them and wait until they are gone: their data goes as well."""
        self._kill(list(self.all()))

    def _kill(self, names: Sequence[str], seconds: float = 30) -> None:
        for name in names:
            if (pid := self.pid(name)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + seconds
        while alive := [name for name in names if self.pid(name) is not None]:
            if time.monotonic() > deadline:
                raise ClusterError(f"{', '.join(alive)} will not end: is a file system hanging?")
            time.sleep(POLL)

    def _noted(self, name: str) -> tuple[str, str]:
        """Pid and start time of a process, and its command."""
        try:
            process, _, command = (self.places.pids / name).read_text().partition("\n")
        except FileNotFoundError:
            names = ", ".join(self.all()) or "nothing"
            reason = f"cluster {self.places.name!r} has no process {name!r}, but {names}"
            raise ClusterError(reason) from None
        return process, command
