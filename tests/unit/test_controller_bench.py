"""The arithmetic of bench/controller.py: what follows from what was seen, on values."""

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from controller_parts import audit
from controller_parts.figures import AS_MANY, MANY, Measured, children, figures, table
from controller_parts.jobs import inputs, job
from controller_parts.observer import Sample
from controller_parts.operator import Usage
from controller_parts.timeline import Event, Restart, Timeline, answered, percentile, rate
from operator_memory import leading

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


def sample(at: float, finished: int, cpu_s: float, rss_mb: float) -> Sample:
    return Sample(at, finished, {"operator": Usage(cpu_s, rss_mb, rss_mb + 1)}, load=1.26)


def request(verb: str, resource: str) -> audit.Request:
    return audit.Request("2026-11-21T10:00:00Z", verb, resource, 200)


WHOLE = Measured(
    jobs=1,
    timeline=seen(
        (1.0, "created", "data"),
        (1.5, "created", "fetch"),
        (5.0, "finished", "fetch"),
        (5.25, "created", "quantize"),
        (12.0, "finished", "data"),
        (12.0, "finished", "quantize"),
        (23.0, "created", "adapter"),
        (24.0, "finished", "adapter"),
    ),
    burst=0.0,
    idle=sample(0.0, 0, 0.5, 70.0),
    steady=sample(2.0, 0, 1.0, 80.0),
    killed=sample(10.0, 1, 1.8, 90.0),
    end=sample(30.0, 4, 3.0, 100.04),
    rss_at_many_mb=95.06,
    passes=3,
    started=20.0,
    asked=[request("create", "jobs")] * 4 + [request("list", "pods"), request("update", "leases")],
    bare={"8": 16.0, AS_MANY: 4.0},
    ended_by_itself=0,
    stuck=0,
)


def test_figures_have_the_names_and_the_units_that_are_promised() -> None:
    found = figures(WHOLE)
    assert found["jobs"] == 1
    assert found["finish_to_create_ms"] == {"p50": 250.0, "p99": 250.0, "max": 250.0}
    assert found["create_rate_ratio"] == 0.5  # two Jobs in half a second, where 4 in one are bare
    assert found["rss_mb"] == 100.0
    assert found["writes_per_stage"] == 1.0
    assert found["restart_s"] == 3.0
    assert (found["doubled"], found["stuck"]) == (0, 0)
    assert found["children"] == 2 * 4 + 4
    assert found["rss_at_10000_children_mb"] == 95.1
    assert found["cpu_ms_per_stage"] == 800.0
    rest = {"rest": None, "restart_at_rest": None}
    assert table([found | rest]).splitlines()[0].split("  ")[0].strip() == "jobs"


def test_what_was_stuck_before_anything_was_measured_is_told_in_valid_json() -> None:
    end = sample(200.0, 0, 1.0, 80.0)
    nothing = replace(
        WHOLE,
        timeline=Timeline(INPUTS),
        idle=end,
        steady=end,
        killed=end,
        end=end,
        burst=math.inf,
        started=math.inf,
        rss_at_many_mb=math.nan,
        bare={},
        asked=[],
        passes=0.0,
        stuck=1,
    )
    found = figures(nothing)
    told = json.loads(json.dumps(found, allow_nan=False))
    assert set(told) == set(figures(WHOLE))
    unknown = {name for name, value in told.items() if value is None}
    assert {"restart_s", "create_rate_ratio", f"rss_at_{MANY}_children_mb"} <= unknown
    assert told["finish_to_create_ms"] == {"p50": None, "p99": None, "max": None}
    assert told["stuck"] == 1
    assert table([found | {"rest": None, "restart_at_rest": None}])


def test_children_are_jobs_pods_and_artifacts() -> None:
    doubled = seen((0.0, "created", "fetch"), (1.0, "created", "fetch"), (2.0, "finished", "fetch"))
    assert children(doubled) == 2 + 2 + 1


def test_operator_that_works_is_the_one_with_the_lease() -> None:
    pods = [{"metadata": {"name": name}} for name in ("olive-a", "olive-b")]
    leases = [{"spec": {"holderIdentity": "another"}}, {"spec": {"holderIdentity": "olive-b"}}]
    assert leading(pods, leases) == pods[1]
    assert leading(pods, [{"metadata": {}}]) is None
