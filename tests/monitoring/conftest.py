"""Fixtures: the programs of Prometheus, and a server with what was recorded of a run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from olive_dashboards.prometheus import Prometheus, serving
from programs import hack

from . import stand_in

RECORDINGS = Path(__file__).with_name("recordings")


@pytest.fixture(scope="session")
def promtool() -> str:
    """Debian's, installed where there is none."""
    if shutil.which("promtool") is None:
        hack("cluster", "install", "promtool")
    return "promtool"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a real run, or while there is none, the stand-in."""
    real = RECORDINGS / "demo.om.gz"
    if real.exists():
        return real
    return stand_in.write(tmp_path_factory.mktemp("recording") / "stand-in.om.gz")


@pytest.fixture(scope="session")
def prometheus(promtool: str, recording: Path) -> Iterator[Prometheus]:
    """A server that answers queries about the recording."""
    with serving(recording) as server:
        yield server
