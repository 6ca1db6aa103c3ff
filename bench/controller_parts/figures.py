"""From what was measured to the figures that are told: pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from controller_parts import audit
from controller_parts.observer import Sample, cores
from controller_parts.timeline import Restart, Timeline, answered, percentile, rate

MANY: Final = 10_000
"""Children (Jobs, pods and Artifacts) at which the operator's memory is looked at."""
AS_MANY: Final = "as many"
"""The bare client's rate over as many Jobs as the operator creates in the burst: a short try ends
before the Job controller has begun to take its share of the machine."""


@dataclass(frozen=True)
class Measured:
    """One measurement.

    ``burst``: when all jobs were applied. Samples: ``idle`` before that, ``steady`` when every job
    had its first children, ``killed`` in the middle, ``end`` when all was finished; what was not
    reached is the end. ``rss_at_many_mb``: the operator's memory when MANY children were first
    there, nan if they never were. ``passes`` of the operator between steady and killed.
    ``started``: when it was started again. ``burst`` and ``started`` are infinite if they did not
    come. ``asked``: its requests up to the end. ``bare``: Jobs a second of the bare client.
    """

    jobs: int
    timeline: Timeline
    burst: float
    idle: Sample
    steady: Sample
    killed: Sample
    end: Sample
    rss_at_many_mb: float
    passes: float
    started: float
    asked: Sequence[audit.Request]
    bare: dict[str, float]
    ended_by_itself: int
    stuck: int


def children(of: Timeline) -> int:
    """As far as the timeline tells: a Job and its pod of what began, an Artifact of what ended."""
    begun = sum(len(times) for times in list(of.created.values()))  # added to by another thread
    return 2 * begun + len(of.finished)


def figures(of: Measured) -> dict[str, Any]:
    """Every figure by its name; None where nothing was there to be measured."""
    follow_ups = of.timeline.follow_ups()
    restart = Restart.of(follow_ups, of.started)
    seconds, done = of.killed.at - of.steady.at, of.killed.finished - of.steady.finished
    own = cores(of.steady, of.killed) if seconds else {}
    waits = answered(follow_ups, of.steady.at, of.killed.at, of.started + restart.all_s)
    stages, asked = of.jobs * len(of.timeline.inputs), audit.counted(of.asked)
    created = rate(t for t in of.timeline.creations if of.burst < t <= of.steady.at)
    bare = of.bare.get(AS_MANY, math.nan)
    idle, killed, end = (s.usage["operator"] for s in (of.idle, of.killed, of.end))
    again = math.isfinite(of.started)
    return {
        "load": round(of.killed.load, 1),
        "jobs": of.jobs,
        "stages": stages,
        "finishes_per_s": _rounded(_per(done, seconds), 1),
        "finish_to_create_ms": {
            "p50": _rounded(percentile(waits, 0.5) * 1000, 1),
            "p99": _rounded(percentile(waits, 0.99) * 1000, 1),
            "max": _rounded(percentile(waits, 1) * 1000, 1),
        },
        "create_rate_ratio": _rounded(_per(created, bare), 3),
        "create_per_s": _rounded(created, 1),
        "bare_create_per_s": of.bare,
        "children": children(of.timeline),
        "rss_mb": round(end.rss_mb, 1),
        "rss_idle_mb": round(idle.rss_mb, 1),
        f"rss_at_{MANY}_children_mb": _rounded(of.rss_at_many_mb, 1),
        "rss_peak_mb": round(max(killed.peak_mb, end.peak_mb), 1),
        "cpu_ms_per_stage": _rounded(_per(own.get("operator", 0) * seconds * 1000, done), 2),
        "passes_per_stage": _rounded(_per(of.passes, done), 2),
        "cores": own,
        "writes_per_stage": round(sum(audit.written(asked).values()) / stages, 2),
        "requests": asked,
        "restart_s": round(restart.all_s, 2) if again else None,
        "restart": asdict(restart) if again else None,
        "ended_by_itself": of.ended_by_itself,
        "doubled": len(of.timeline.doubled),
        "stuck": of.stuck,
    }


def _per(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _rounded(value: float, digits: int) -> float | None:
    """JSON has no nan."""
    return round(value, digits) if math.isfinite(value) else None


COLUMNS: Final[tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...]] = (
    ("jobs", lambda f: f["jobs"]),
    ("stages", lambda f: f["stages"]),
    ("load", lambda f: f["load"]),
    ("finishes/s", lambda f: f["finishes_per_s"]),
    ("p50 ms", lambda f: f["finish_to_create_ms"]["p50"]),
    ("p99 ms", lambda f: f["finish_to_create_ms"]["p99"]),
    ("creates/s", lambda f: f["create_per_s"]),
    ("of bare", lambda f: f["create_rate_ratio"]),
    ("RSS MB", lambda f: f["rss_mb"]),
    ("at 10,000", lambda f: f[f"rss_at_{MANY}_children_mb"]),
    ("CPU ms/stage", lambda f: f["cpu_ms_per_stage"]),
    ("writes/stage", lambda f: f["writes_per_stage"]),
    ("restart s", lambda f: f["restart_s"]),
    ("doubled", lambda f: f["doubled"]),
    ("stuck", lambda f: f["stuck"]),
)


def table(found: Sequence[dict[str, Any]]) -> str:
    """A line for each size, then what the last one asked of the API server and of the machine."""
    rows = [[name for name, _ in COLUMNS], *([str(of(f)) for _, of in COLUMNS] for f in found)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS))]
    lines = ["  ".join(t.rjust(w) for t, w in zip(row, widths, strict=True)) for row in rows]
    last = found[-1]
    for title in ("cores", "requests", "rest", "restart", "restart_at_rest", "bare_create_per_s"):
        lines.append(f"{title}: {last[title]}")
    return "\n".join(lines)
