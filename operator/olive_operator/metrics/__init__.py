"""What Prometheus reads of the operator; docs/metrics.md lists it.

Labels are bounded. A job's name is a label only in ``EachJob``, of so many jobs as the chart's
values allow, and only while the job is there; keys of artifacts and names of pods are none.
"""

from olive_operator.metrics.counters import (
    CACHE_HITS,
    FAILURES,
    GATES_FAILED,
    GPU_SECONDS,
    LEADING,
    QUEUE_DEPTH,
    QUEUE_SECONDS,
    RECONCILE_ERRORS,
    RECONCILE_SECONDS,
    RELISTS,
    STAGE_SECONDS,
    SWEPT,
    count,
    watch_queue,
)
from olive_operator.metrics.each_job import EachJob
from olive_operator.metrics.jobs import Jobs
from olive_operator.metrics.stores import StoreSizes

__all__ = [
    "CACHE_HITS",
    "FAILURES",
    "GATES_FAILED",
    "GPU_SECONDS",
    "LEADING",
    "QUEUE_DEPTH",
    "QUEUE_SECONDS",
    "RECONCILE_ERRORS",
    "RECONCILE_SECONDS",
    "RELISTS",
    "STAGE_SECONDS",
    "SWEPT",
    "EachJob",
    "Jobs",
    "StoreSizes",
    "count",
    "watch_queue",
]
