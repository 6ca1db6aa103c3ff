"""The stand-in cloud: started once, empty for every test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # modules of their own, as those of tests/stage are

from cloud import Cloud
from cloud import cloud as started


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with started(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The cloud, with this process as a pod whose service account is federated."""
    running.plane.forget()
    running.wire.forget()
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "")  # MLClient sets it for the whole process
    monkeypatch.delenv("AZUREML_CURRENT_CLOUD")
    for name, value in running.federated().items():
        monkeypatch.setenv(name, value)
    return running
