"""Servers for the tests: one for all that only ask, and one each for those that break things."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_model
from server_process import ServedJob, ServerProcess, until

LONG_CONTEXT = ("--max-model-len", "500000")
Start = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A ready server with the adapters ``travel``, ``unicode`` and ``endless``."""
    job = ServedJob(tmp_path_factory.mktemp("job"))
    endless = tiny_model.adapter(job.store, job.base, "ab", endless=True)
    job.serve(travel="Rome!", unicode="é🙂日!", endless=endless)
    server = ServerProcess(job, *LONG_CONTEXT)
    until(server.ready)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def job(tmp_path: Path) -> ServedJob:
    return ServedJob(tmp_path)


@pytest.fixture
def start(job: ServedJob) -> Iterator[Start]:
    """Start a server of ``job`` with these flags; wait until it is ready unless told not to."""
    started = []

    def start(*flags: str, wait: bool = True) -> ServerProcess:
        server = ServerProcess(job, *LONG_CONTEXT, *flags)
        started.append(server)
        if wait:
            until(server.ready)
        return server

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()
