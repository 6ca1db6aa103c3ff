"""What Prometheus reads of the operator. Labels are bounded: no job names, no keys."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from olive_operator.api.status import State, Status
from olive_operator.plan.status import failed_since, held_back_since

_STAGE_BUCKETS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 2400, 4800, 9600)
_FAST_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)

STAGE_SECONDS = Histogram(
    "olive_stage_duration_seconds",
    "How long attempts that succeeded ran, by kind of stage.",
    ["kind"],
    buckets=_STAGE_BUCKETS,
)
CACHE_HITS = Counter("olive_stage_cache_hits_total", "Stages whose artifact was there.", ["kind"])
FAILURES = Counter(
    "olive_stage_failures_total", "Attempts that failed, by failure class.", ["kind", "failure"]
)
GATES_FAILED = Counter(
    "olive_gates_failed_total", "Evaluations that did not pass the gates of their job."
)
GPU_SECONDS = Counter("olive_gpu_seconds_total", "GPU time of finished attempts.", ["namespace"])
RECONCILE_SECONDS = Histogram(
    "olive_reconcile_duration_seconds", "How long one pass over a job takes.", buckets=_FAST_BUCKETS
)
RECONCILE_ERRORS = Counter("olive_reconcile_errors_total", "Passes that ended with an error.")
QUEUE_SECONDS = Histogram(
    "olive_queue_wait_seconds", "How long a job waits for its pass.", buckets=_FAST_BUCKETS
)
QUEUE_DEPTH = Gauge("olive_queue_depth", "Jobs that are due and not being looked at.")

RELISTS = Counter(
    "olive_watch_relists_total", "Watches that had to begin anew with a list.", ["kind"]
)
LEADING = Gauge("olive_leading", "1 while this operator holds the Lease and works, 0 on standby.")


SWEPT = Counter(
    "olive_artifacts_swept_total", "Artifacts that nothing referred to, removed.", ["namespace"]
)


def watch_queue(depth: Callable[[], int]) -> None:
    """Have the queue's depth read whenever the metrics are."""
    QUEUE_DEPTH.set_function(depth)


class Phases(Collector):
    """``olive_jobs``, counted from the phase of every job whenever the metrics are read."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], str] = {}

    def collect(self) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "olive_jobs", "OptimizationJobs by phase.", labels=["namespace", "phase"]
        )
        jobs = ((namespace, phase) for (namespace, _), phase in self.of.copy().items())
        for labels, number in Tally(jobs).items():
            found.add_metric(labels, number)
        yield found


class StoreSizes(Collector):
    """``olive_store_bytes`` as they were at the last look: a series or two for each claim."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], tuple[int, int]] = {}

    def collect(self) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "olive_store_bytes",
            "Bytes of the artifacts in a claim's store, referred to by something or not.",
            labels=["namespace", "claim", "used"],
        )
        for (namespace, claim), (used, unused) in self.of.copy().items():
            found.add_metric([namespace, claim, "true"], used)
            found.add_metric([namespace, claim, "false"], unused)
        yield found


def count(namespace: str, before: Status, after: Status) -> None:
    """Count what a pass has found to be at its end since the last status."""
    GPU_SECONDS.labels(namespace).inc(max(after.gpuSeconds - before.gpuSeconds, 0))
    for stage in after.stages:
        last = before.stage_named(stage.name)
        kind = stage.name.partition("/")[0]
        was = last.state if last and last.address == stage.address else None
        if stage.state == State.SUCCEEDED and was != State.SUCCEEDED:
            if stage.cached:
                CACHE_HITS.labels(kind).inc()
            else:
                STAGE_SECONDS.labels(kind).observe(stage.seconds)
        if last and failed_since(last, stage):
            FAILURES.labels(kind, stage.lastFailure.partition(":")[0]).inc()
        if held_back_since(last, stage):
            GATES_FAILED.inc()
