"""A real Prometheus, on this machine, that knows a recording and nothing else."""

import gzip
import itertools
import json
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

_STARTS_WITHIN = 30.0


class QueryError(Exception):
    """What Prometheus says of a query that it does not take."""


@dataclass(frozen=True)
class Prometheus:
    """A server, and the first and last instant that it knows of."""

    url: str
    start: float
    end: float

    def instant(self, expr: str) -> list[dict[str, Any]]:
        """Its value at the end, by series."""
        return self._ask("query", query=expr, time=str(self.end))

    def range(self, expr: str, step: float) -> list[dict[str, Any]]:
        """Its values over all the time, by series."""
        start, end = str(self.start), str(self.end)
        return self._ask("query_range", query=expr, start=start, end=end, step=str(step))

    def _ask(self, what: str, **asked: str) -> list[dict[str, Any]]:
        try:
            with urlopen(f"{self.url}/api/v1/{what}?{urlencode(asked)}") as page:  # noqa: S310
                found: dict[str, Any] = json.load(page)
        except URLError as error:
            said = getattr(error, "read", bytes)().decode()
            raise QueryError(f"{asked['query']}: {said or error}") from None
        result: list[dict[str, Any]] = found["data"]["result"]
        return result


@contextmanager
def serving(recording: Path) -> Iterator[Prometheus]:
    """Serve what was recorded, on a port of 127.0.0.1."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        text = gzip.decompress(recording.read_bytes()).decode()
        (place / "recording.om").write_text(text)
        blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q"]
        subprocess.run([*blocks, place / "recording.om", place / "data"], check=True)
        (place / "prometheus.yaml").write_text("{}\n")
        port = _free_port()
        command = [
            "prometheus",
            f"--config.file={place / 'prometheus.yaml'}",
            f"--storage.tsdb.path={place / 'data'}",
            "--storage.tsdb.retention.time=100y",
            f"--query.lookback-delta={_longest_pause(text) + 1:.0f}s",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with subprocess.Popen(command, cwd=place) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_for(url, process)
                instants = [float(at) for at in re.findall(r" ([0-9.]+)$", text, re.M)]
                yield Prometheus(url, min(instants), max(instants))
            finally:
                process.terminate()


def _longest_pause(text: str) -> float:
    """Seconds between two scrapes: after these a series has ended, which a recording cannot say."""
    found = sorted({float(at) for at in re.findall(r"^olive_leading{.* ([0-9.]+)$", text, re.M)})
    return max(later - earlier for earlier, later in itertools.pairwise(found))


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while process.poll() is None and time.monotonic() < until:
        try:
            with urlopen(f"{url}/-/ready"):  # noqa: S310
                return
        except URLError:
            time.sleep(0.1)
    raise RuntimeError("prometheus does not start")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
