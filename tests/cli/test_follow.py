"""The watch's loop against a scripted stream."""

from collections.abc import Iterator
from typing import Any

import pytest

from olive_cli.cluster.follow import PATIENCE, TURN, Gone, Unreachable, follow
from olive_cli.errors import AbsentError, CliError
from olive_cli.job.view import Body, Job

from .jobs import READY, STALLED, body, stage

Event = tuple[str, Body]


class Scripted:
    """A stream that answers as written: ``reads`` one after the other, ``turns`` of events."""

    def __init__(self, reads: list[Any], turns: list[list[Event | Exception]]) -> None:
        self.reads, self.turns = reads, turns
        self.versions: list[str] = []
        self.now = 0.0

    def read(self) -> Body | None:
        answer = self.reads.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def events(self, version: str, seconds: float) -> Iterator[Event]:
        self.versions.append(version)
        for event in self.turns.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event
        self.now += seconds

    def follow(self, timeout: float | None = None) -> list[Job]:
        return list(follow(self, timeout, lambda: self.now, self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def changed(version: str, **more: Any) -> Event:
    return "MODIFIED", body(stage("export", "Running"), version=version, **more)


def test_it_ends_with_ready_and_tells_every_change() -> None:
    stream = Scripted([body()], [[changed("2"), changed("3", condition=READY), changed("4")]])
    told = stream.follow()
    assert [j.verdict is not None for j in told] == [False, False, True]
    assert told[-1].verdict
    assert told[-1].verdict.ok


def test_a_job_that_is_ready_already_needs_no_watch() -> None:
    stream = Scripted([body(condition=READY)], [])
    assert len(stream.follow()) == 1


def test_it_ends_with_stalled() -> None:
    stream = Scripted([body()], [[changed("2", condition=STALLED)]])
    verdict = stream.follow()[-1].verdict
    assert verdict
    assert not verdict.ok
    assert verdict.reason == "InvalidInput"
    assert "no column prompt" in verdict.message


def test_conditions_of_an_older_spec_decide_nothing() -> None:
    stream = Scripted(
        [body(condition=READY, observed=2)], [[changed("2"), changed("3", condition=STALLED)]]
    )
    assert [j.verdict is not None for j in stream.follow()] == [False, False, True]


def test_a_watch_that_ends_goes_on_from_where_it_was() -> None:
    stream = Scripted([body(version="7")], [[changed("8")], [], [changed("9", condition=READY)]])
    stream.follow()
    assert stream.versions == ["7", "8", "8"]


def test_410_reads_the_object_again() -> None:
    reads = [body(version="7"), body(version="70")]
    stream = Scripted(reads, [[changed("8"), Gone()], [changed("71", condition=READY)]])
    stream.follow()
    assert stream.versions == ["7", "70"]


def test_a_broken_connection_is_tried_again_from_where_it_was() -> None:
    turns: list[list[Event | Exception]] = [
        [changed("8"), Unreachable("reset")],
        [Unreachable("refused")],
        [changed("9", condition=READY)],
    ]
    stream = Scripted([body(version="7")], turns)
    stream.follow()
    assert stream.versions == ["7", "8", "8"]


def test_an_api_server_that_stays_away_ends_it() -> None:
    stream = Scripted([Unreachable("connection refused")] * PATIENCE, [])
    with pytest.raises(CliError, match="does not answer: connection refused"):
        stream.follow()


def test_no_such_job() -> None:
    with pytest.raises(CliError, match="no such job"):
        Scripted([None], []).follow()


def test_deleted_while_watched() -> None:
    with pytest.raises(AbsentError, match="deleted"):
        Scripted([body()], [[("DELETED", body())]]).follow()


def test_the_time_is_up() -> None:
    stream = Scripted([body()], [[], [changed("2")], []])
    with pytest.raises(CliError, match="not ready after 100 s"):
        stream.follow(timeout=100)
    assert stream.now == 100 > TURN
