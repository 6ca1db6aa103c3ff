"""What a GPU does while something runs: utilisation and memory, several times a second."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType

QUERY = "--query-gpu=utilization.gpu,memory.used"
EVERY_MS = 100


def has_gpu() -> bool:
    """Whether ``nvidia-smi`` answers here."""
    if shutil.which("nvidia-smi") is None:
        return False
    return subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0


@dataclass
class Sampler:
    """A context: ``samples`` of the first GPU: unix time, percent of time in use, MiB in use."""

    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def __enter__(self) -> "Sampler":
        self._process: subprocess.Popen[str] | None = None
        if has_gpu():
            command = ["nvidia-smi", "-i", "0", QUERY, "--format=csv,noheader,nounits"]
            self._process = subprocess.Popen(
                [*command, "-lms", str(EVERY_MS)], stdout=subprocess.PIPE, text=True
            )
            lines = self._process.stdout or ()
            threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            percent, used = line.split(",")
            self.samples.append((time.time(), int(percent), int(used)))

    def busy(self, start: float, end: float) -> float | None:
        """The mean share of the time between two instants in which a kernel ran; None: no GPU."""
        found = [percent for at, percent, _ in self.samples if start <= at <= end]
        return round(sum(found) / len(found) / 100, 3) if found else None

    def peak_mib(self, start: float, end: float) -> int | None:
        """The most memory that was in use between two instants; None: no GPU."""
        return max((used for at, _, used in self.samples if start <= at <= end), default=None)
