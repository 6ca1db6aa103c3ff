"""The operator as the process that it is, and what the kernel knows of a process."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import yaml

from controller_parts.cluster import SYSTEM

_CONFIG = {
    "images": {"stage": "stage:1", "stageSlim": "slim:1", "serve": "serve:1"},
    "lease": {"namespace": SYSTEM},
}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Of a process: processor time since its start, and memory now and at most."""

    cpu_s: float
    rss_mb: float
    peak_mb: float


def usage(pid: int) -> Usage:
    """What /proc says; FileNotFoundError or ProcessLookupError if the process is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    memory = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
    rss, peak = (int(memory[name].split()[0]) / 1000 for name in ("VmRSS", "VmHWM"))
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, rss, peak)


class Operator:
    """``python -m olive_operator``, to be killed and started again. ``checkout``: of which."""

    def __init__(self, kubeconfig: Path, folder: Path, checkout: Path) -> None:
        # As a container that is started again in its pod, it comes back under the same name.
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "POD_NAME": "operator-0"}
        self._environment["PYTHONPATH"] = str(checkout / "operator")
        # Its modules are compiled once, as they are in its image.
        self._environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._config, self._log = folder / "config.yaml", folder / "operator.log"
        self._config.write_text(yaml.safe_dump(_CONFIG))
        self._metrics, self._probe = _free_port(), _free_port()

        self._process: subprocess.Popen[bytes] | None = None
        self.ended = 0

    def __enter__(self) -> "Operator":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        options = [
            *("--config", str(self._config), "--metrics-port", str(self._metrics)),
            *("--liveness", f"http://127.0.0.1:{self._probe}/healthz"),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "olive_operator", *options],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """As the kernel would for want of memory."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def keep_up(self) -> None:
        """Start it again where it ended by itself, as Kubernetes would; ``ended`` counts that."""
        if self._process and self._process.poll() is not None:
            self.ended += 1
            self.start()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text().splitlines()[-20:])

    def measured(self, name: str) -> float:
        """The sum of a metric over its labels; 0 while there is none."""
        try:
            with urlopen(f"http://127.0.0.1:{self._metrics}/metrics") as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.split()[-1]) for line in lines if _named(line) == name)


def _named(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
