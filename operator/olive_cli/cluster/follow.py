"""The loop of a watch: from a stream that breaks off now and then to one job, told whole.

Pure but for the stream and the clock that it is given.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from olive_cli.errors import AbsentError, CliError, NoClusterError, NoSuchJobError
from olive_cli.job.view import Body, Job, job

TURN = 60.0
"""Seconds after which a watch is opened anew: a connection that died silently is noticed then."""
PAUSE = 2.0
"""Seconds between attempts to reach an API server that does not answer."""
PATIENCE = 30
"""Attempts to reach it before giving up."""


class Gone(Exception):  # noqa: N818 - the API's own word
    """The version to watch from is too old: read the object again (HTTP 410)."""


class Unreachable(NoClusterError):  # noqa: N818 - it passes
    """The API server did not answer, or the connection broke."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the API server does not answer: {cause}")


class Stream(Protocol):
    """One object of the API server."""

    def read(self) -> Body | None:
        """The object as it is now, or None if it does not exist."""

    def events(self, version: str, seconds: float) -> Iterator[tuple[str, Body]]:
        """(type, object) of each change after ``version``, for so many seconds at most."""


def follow(
    stream: Stream,
    timeout: float | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Job]:
    """The job each time that it changes, until it is at rest.

    CliError if it does not exist or is deleted, if the API server stays away, or if the time is up.
    """
    deadline = None if timeout is None else clock() + timeout
    version, missed = "", 0
    while True:
        left = TURN if deadline is None else min(TURN, deadline - clock())
        if left <= 0:
            raise CliError(f"not ready after {timeout:.0f} s; the job goes on, watch it again")
        try:
            for found in _turn(stream, version, left):
                version, missed = found["metadata"]["resourceVersion"], 0
                seen = job(found)
                yield seen
                if seen.verdict is not None:
                    return
        except Gone:
            version = ""
        except Unreachable:
            missed += 1
            if missed >= PATIENCE:
                raise
            sleep(PAUSE)


def _turn(stream: Stream, version: str, seconds: float) -> Iterator[Body]:
    """One opening of the watch; without a version the object itself comes first."""
    if not version:
        found = stream.read()
        if found is None:
            raise NoSuchJobError("no such job; `kubectl olive status` has all")
        yield found
        version = found["metadata"]["resourceVersion"]
    for kind, changed in stream.events(version, seconds):
        if kind == "DELETED":
            raise AbsentError("the job was deleted while it was watched")
        yield changed
