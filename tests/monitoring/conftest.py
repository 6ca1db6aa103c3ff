"""Fixtures: the programs of Prometheus, and a server with what `hack/dashboards run` recorded."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from olive_dashboards.prometheus import Prometheus, serving
from programs import hack

RECORDING = Path(__file__).with_name("recordings") / "demo.om.gz"


@pytest.fixture(scope="session")
def promtool() -> str:
    """Debian's, installed where there is none."""
    if shutil.which("promtool") is None:
        hack("cluster", "install", "promtool")
    return "promtool"


@pytest.fixture(scope="session")
def prometheus(promtool: str) -> Iterator[Prometheus]:
    """A server that answers queries about the recording."""
    with serving(RECORDING) as server:
        yield server
