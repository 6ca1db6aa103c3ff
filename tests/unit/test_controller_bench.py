"""The arithmetic of bench/controller.py: what follows from what was seen, on values."""

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest
from controller_parts import audit
from controller_parts.jobs import inputs, job
from controller_parts.timeline import Event, Restart, Timeline, answered, percentile, rate

INPUTS = {
    "fetch": frozenset[str](),
    "quantize": frozenset({"fetch"}),
    "adapter": frozenset({"quantize", "data"}),
    "data": frozenset[str](),
}


def seen(*events: tuple[float, str, str]) -> Timeline:
    """``finished fetch`` of job a, at an instant."""
    timeline = Timeline(INPUTS)
    for at, what, stage in events:
        timeline.add(Event(at, what, "ml/a", stage))  # type: ignore[arg-type]
    return timeline


def test_follow_up_counts_from_the_last_input_and_first_stages_follow_nothing() -> None:
    timeline = seen(
        (0.0, "created", "fetch"),
        (0.0, "created", "data"),
        (3.0, "finished", "fetch"),
        (3.25, "created", "quantize"),
        (5.0, "finished", "quantize"),
        (8.0, "finished", "data"),
        (8.5, "created", "adapter"),
    )
    assert timeline.first == [0.0, 0.0]
    assert [(f.finished, f.seconds) for f in timeline.follow_ups()] == [(3.0, 0.25), (8.0, 0.5)]


def test_stage_with_two_jobs_is_doubled_and_is_judged_by_the_first() -> None:
    timeline = seen(
        (1.0, "finished", "fetch"), (1.5, "created", "quantize"), (9.0, "created", "quantize")
    )
    assert timeline.doubled == [("ml/a", "quantize")]
    assert [f.seconds for f in timeline.follow_ups()] == [0.5]


def follow_ups(*pairs: tuple[float, float]) -> list[Any]:
    """Of one job each: when the input finished, and when the next Job came."""
    timeline = Timeline(INPUTS)
    for number, (finished, created) in enumerate(pairs):
        timeline.add(Event(finished, "finished", f"ml/{number}", "fetch"))
        timeline.add(Event(created, "created", f"ml/{number}", "quantize"))
    return timeline.follow_ups()


KILLED, STARTED = 10.0, 20.0
BEFORE, UNANSWERED, DOWN, AFTER = (5.0, 5.5), (9.9, 21.0), (15.0, 22.0), (30.0, 30.25)


def test_restart_is_over_when_the_last_that_was_due_is_there() -> None:
    found = Restart.of(follow_ups(BEFORE, UNANSWERED, DOWN, AFTER), STARTED)
    assert found == Restart(unanswered=2, first_s=1.0, all_s=2.0)


def test_latency_leaves_out_the_burst_and_what_the_killed_operator_could_not_answer() -> None:
    found = follow_ups((1.0, 2.0), BEFORE, UNANSWERED, DOWN, (21.5, 21.75), AFTER)
    assert answered(found, since=3.0, killed=KILLED, caught_up=22.0) == [0.5, 0.25]


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        pytest.param([3, 1, 2], 0.5, 2, id="the middle"),
        pytest.param(range(1, 101), 0.99, 99, id="one of a hundred is above it"),
        pytest.param([7], 0.99, 7, id="of one"),
    ],
)
def test_percentile(values: Iterable[float], share: float, found: float) -> None:
    assert percentile(values, share) == found


def test_of_nothing_there_is_no_percentile_and_no_rate() -> None:
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(rate([1.0]))


def test_rate_is_of_the_intervals() -> None:
    assert rate([10.0, 10.5, 11.0]) == 2.0


def logged(number: int, account: str, verb: str, code: int = 200, **what: str) -> bytes:
    """A line of the audit log."""
    return json.dumps(
        {
            "auditID": str(number),
            "verb": verb,
            "user": {"username": f"system:serviceaccount:olive-system:{account}"},
            "objectRef": what,
            "requestURI": "/x?y=z",
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": f"2026-11-21T10:00:{number:02}.000000Z",
        },
        separators=(",", ":"),
    ).encode()


def test_requests_are_counted_once_each_and_only_those_of_the_account() -> None:
    log = [
        logged(1, "operator", "watch", resource="pods"),
        logged(1, "operator", "watch", resource="pods"),
        logged(2, "operator", "create", resource="jobs"),
        logged(3, "operator", "create", 409, resource="jobs"),
        logged(4, "operator", "update", resource="leases"),
        logged(5, "operator", "update", resource="optimizationjobs", subresource="status"),
        logged(6, "somebody", "create", resource="jobs"),
        logged(7, "operator", "get"),
    ]
    found = audit.counted(audit.requests(log, "operator"))
    assert found == {
        "watch pods": 1,
        "create jobs": 1,
        "create jobs (409)": 1,
        "update leases": 1,
        "update optimizationjobs/status": 1,
        "get /x": 1,
    }
    assert audit.written(found) == {
        "create jobs": 1,
        "create jobs (409)": 1,
        "update optimizationjobs/status": 1,
    }


def test_job_of_the_bench_has_twelve_stages_and_sources_of_its_own() -> None:
    assert len(inputs()) == 12
    assert inputs()["adapter/first"] == {"export", "finetune/first"}
    assert job(1)["spec"]["model"] != job(2)["spec"]["model"]
