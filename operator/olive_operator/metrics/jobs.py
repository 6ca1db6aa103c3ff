"""All jobs together, by namespace: read out of their statuses whenever the metrics are."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from olive_operator.api.seen import JobSeen
from olive_operator.api.status import StageStatus, State
from olive_operator.metrics.reading import gpus, product, stalled, waiting_since, waits
from olive_operator.plan.clock import instant

Key = tuple[str, str]
"""Namespace and name."""


class Jobs(Collector):
    """What there is, what goes on and what waits. ``planned``: each job as its last plan has it."""

    def __init__(self, planned: dict[Key, JobSeen]) -> None:
        self._planned = planned

    def collect(self) -> Iterator[Metric]:
        """A look at every job; the reconciler goes on meanwhile, in another thread."""
        found = _Look()
        for job in self._planned.copy().values():
            found.at(job)
        yield from found.told()


class _Look:
    """One look at all jobs."""

    def __init__(self) -> None:
        self._phases: Counter[tuple[str, ...]] = Counter()
        self._stalled: Counter[tuple[str, ...]] = Counter()
        self._stages: Counter[tuple[str, ...]] = Counter()
        self._pending: Counter[tuple[str, ...]] = Counter()
        self._held: Counter[tuple[str, ...]] = Counter()
        self._wanted: Counter[tuple[str, ...]] = Counter()
        self._waits: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def at(self, job: JobSeen) -> None:
        place, status = job.namespace, job.status
        self._phases[place, status.phase] += 1
        if reason := stalled(status):
            self._stalled[place, reason] += 1
        if since := waiting_since(status):
            self._waits[place] = min(since, self._waits.get(place, since))
        for stage in status.stages:
            self._stages[place, stage.kind, stage.state] += 1
            if stage.state == State.RUNNING:
                self._running(job, stage)
            elif stage.state == State.PENDING and waits(stage):
                self._pending[place, stage.reason] += 1
                if count := gpus(job.spec, stage.name):
                    self._wanted[place, product(job.spec)] += count

    def _running(self, job: JobSeen, stage: StageStatus) -> None:
        count = gpus(job.spec, stage.name)
        if not count:
            return
        self._held[job.namespace, product(job.spec)] += count
        if said := stage.progressedAt:
            self._said[job.namespace] = min(said, self._said.get(job.namespace, said))

    def told(self) -> Iterator[Metric]:
        yield _family(
            "olive_jobs", "OptimizationJobs by phase.", ("namespace", "phase"), self._phases
        )
        yield _family(
            "olive_jobs_stalled",
            "Jobs that only a person can bring further, by the reason of their condition Stalled.",
            ("namespace", "reason"),
            self._stalled,
        )
        yield _family(
            "olive_stages",
            "Stages of all jobs by kind and state.",
            ("namespace", "kind", "state"),
            self._stages,
        )
        yield _family(
            "olive_stages_pending",
            "Stages that are due and do not run, by the reason that their status gives; not those "
            "that another job or stage builds.",
            ("namespace", "reason"),
            self._pending,
        )
        yield _family(
            "olive_gpus_held",
            "GPUs of running stages, by the product that their jobs name.",
            ("namespace", "product"),
            self._held,
        )
        yield _family(
            "olive_gpus_waiting",
            "GPUs that stages ask for which are due and do not run.",
            ("namespace", "product"),
            self._wanted,
        )
        yield _instants(
            "olive_waiting_since_timestamp_seconds",
            "Since when the job that waits the longest has waited with a stage due and none "
            "running; no series while none waits.",
            self._waits,
        )
        yield _instants(
            "olive_gpu_progress_timestamp_seconds",
            "When that running stage with a GPU last told of progress which has told of none for "
            "the longest; no series while no GPU is held.",
            self._said,
        )


def _family(
    name: str, about: str, labels: tuple[str, ...], found: Counter[tuple[str, ...]]
) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, number in found.items():
        family.add_metric(values, number)
    return family


def _instants(name: str, about: str, found: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=("namespace",))
    for namespace, at in found.items():
        family.add_metric((namespace,), seconds(at))
    return family


def seconds(at: str) -> float:
    """An instant of a status in seconds since the epoch."""
    found: datetime = instant(at)
    return found.timestamp()
