"""What is counted as it happens: attempts, passes, watches."""

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from olive_contract.failures import FailureClass
from olive_operator.api.seen import JobSeen
from olive_operator.api.status import State, Status
from olive_operator.config import TIMEOUTS
from olive_operator.metrics.reading import product
from olive_operator.plan.status import failure_since, held_back_since

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
GPU_SECONDS = Counter(
    "olive_gpu_seconds_total",
    "GPU time of ended attempts: seconds times GPUs, by the GPU product that the job names "
    "(empty where it names none, or several).",
    ["namespace", "product"],
)
RECONCILE_SECONDS = Histogram(
    "olive_reconcile_duration_seconds", "How long one pass over a job takes.", buckets=_FAST_BUCKETS
)
RECONCILE_ERRORS = Counter("olive_reconcile_errors_total", "Passes that ended with an error.")
QUEUE_SECONDS = Histogram(
    "olive_queue_wait_seconds", "How long a job waits for its pass.", buckets=_FAST_BUCKETS
)
QUEUE_DEPTH = Gauge(
    "olive_queue_depth", "Jobs that are due and not being looked at; on standby, all."
)
RELISTS = Counter(
    "olive_watch_relists_total", "Watches that had to begin anew with a list.", ["kind"]
)
LEADING = Gauge("olive_leading", "1 while this operator holds the Lease and works, 0 on standby.")
SWEPT = Counter(
    "olive_artifacts_swept_total", "Artifacts that nothing referred to, removed.", ["namespace"]
)

PRODUCTS: Final = 32
"""GPU products that are counted apart; jobs may name what they like, and a counter stays."""
OTHER: Final = "other"
_products: set[str] = set()

# From zero on: a counter that begins with its first event shows no increase by it.
for _kind in TIMEOUTS:
    STAGE_SECONDS.labels(_kind)
    CACHE_HITS.labels(_kind)
    for _failure in FailureClass:
        FAILURES.labels(_kind, _failure.value)


def watch_queue(depth: Callable[[], int]) -> None:
    """Have the queue's depth read whenever the metrics are."""
    QUEUE_DEPTH.set_function(depth)


def count(job: JobSeen, after: Status) -> None:
    """Count what a pass has found to be at its end since the job's last status."""
    before = job.status
    spent = max(after.gpuSeconds - before.gpuSeconds, 0)
    GPU_SECONDS.labels(job.namespace, _counted(product(job.spec))).inc(spent)
    for stage in after.stages:
        last = before.stage_named(stage.name)
        kind = stage.kind
        was = last.state if last and last.address == stage.address else None
        if stage.state == State.SUCCEEDED and was != State.SUCCEEDED:
            if stage.cached:
                CACHE_HITS.labels(kind).inc()
            else:
                STAGE_SECONDS.labels(kind).observe(stage.seconds)
        if failed := failure_since(last, stage):
            FAILURES.labels(kind, failed).inc()
        if held_back_since(last, stage):
            GATES_FAILED.inc()


def _counted(name: str) -> str:
    if len(_products) < PRODUCTS:
        _products.add(name)
    return name if name in _products else OTHER
