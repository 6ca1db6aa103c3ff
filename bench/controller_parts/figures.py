"""From what was measured to the figures that are told: pure."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from controller_parts import audit
from controller_parts.observer import Sample, cores
from controller_parts.timeline import Restart, Timeline, answered, percentile, rate


@dataclass(frozen=True)
class Measured:
    """One measurement.

    ``burst``: when all jobs were applied. Samples: ``idle`` before that, ``steady`` when every job
    had its first children, ``killed`` in the middle, ``end`` when all was finished. ``passes`` of
    the operator between steady and killed. ``started``: when it was started again. ``asked``: its
    requests up to the end. ``bare``: Jobs a second of the bare client.
    """

    jobs: int
    timeline: Timeline
    burst: float
    idle: Sample
    steady: Sample
    killed: Sample
    end: Sample
    passes: float
    started: float
    asked: Sequence[audit.Request]
    bare: dict[str, float]
    ended_by_itself: int
    stuck: int


def figures(of: Measured) -> dict[str, Any]:
    """Every figure by its name."""
    follow_ups, own = of.timeline.follow_ups(), cores(of.steady, of.killed)
    restart = Restart.of(follow_ups, of.started)
    seconds, done = of.killed.at - of.steady.at, of.killed.finished - of.steady.finished
    waits = answered(follow_ups, of.steady.at, of.killed.at, of.started + restart.all_s)
    stages, asked = of.jobs * len(of.timeline.inputs), audit.counted(of.asked)
    created, bare = rate(t for t in of.timeline.first if t > of.burst), max(of.bare.values())
    idle, killed, end = (s.usage["operator"] for s in (of.idle, of.killed, of.end))
    return {
        "load": round(of.killed.load, 1),
        "jobs": of.jobs,
        "stages": stages,
        "finishes_per_s": round(done / seconds, 1),
        "finish_to_create_ms": {
            "p50": round(percentile(waits, 0.5) * 1000, 1),
            "p99": round(percentile(waits, 0.99) * 1000, 1),
            "max": round(percentile(waits, 1) * 1000, 1),
        },
        "create_rate_ratio": round(created / bare, 3),
        "create_per_s": round(created, 1),
        "bare_create_per_s": of.bare,
        "rss_mb": round(end.rss_mb, 1),
        "rss_idle_mb": round(idle.rss_mb, 1),
        "rss_peak_mb": round(max(killed.peak_mb, end.peak_mb), 1),
        "cpu_ms_per_stage": round(own["operator"] * seconds / done * 1000, 2),
        "passes_per_stage": round(of.passes / done, 2),
        "cores": own,
        "writes_per_stage": round(sum(audit.written(asked).values()) / stages, 2),
        "requests": asked,
        "restart_s": round(restart.all_s, 2),
        "restart": asdict(restart),
        "ended_by_itself": of.ended_by_itself,
        "doubled": len(of.timeline.doubled),
        "stuck": of.stuck,
    }


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
