"""docs/metrics.md, from the registries of the operator and of the serving."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from olive_operator import metrics
from olive_serve.engine import Occupancy
from olive_serve.metrics import EngineGauges, Metrics
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

_HEAD = """\
# Metrics

Written by `python hack/dashboards write` from what the code registers;
[monitoring.md](monitoring.md) says how to have them read, and what is made of them.

## Of the operator

At port 8080, `/metrics`, of each of its pods; the one that leads has those of jobs. `job_name` is
the name of an OptimizationJob. Only the latest changed jobs, as many as `metrics.jobs` in the
chart's values says, have series with it; what is zero has none. No label is the key of an artifact
or the name of a pod. Labels that people choose (`namespace`, `claim`, `stage` by its adapter,
`product`) are bounded by what there is; of `product`, the counter tells the first 32 apart, and
calls the others `other`.

"""
_SERVING = """
## Of a serving

At port 8081, `/metrics`, of each of its pods; names are vLLM's where vLLM has one. `model_name` is
an adapter, or `base`. Prometheus adds `namespace` and `pod`, and `job_name` where the pods are
found by the chart's PodMonitor.

"""


@dataclass(frozen=True)
class Described:
    """A metric as it is read."""

    name: str
    type: str
    labels: tuple[str, ...]
    about: str

    @property
    def row(self) -> str:
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name}` | {self.type} | {labels} | {self.about} |"


def page() -> str:
    """The whole page."""
    own = [_described(c) for c in vars(metrics).values() if isinstance(c, MetricWrapperBase)]
    read = [metrics.Jobs({}), metrics.EachJob({}, 1), metrics.StoreSizes()]
    operator = [*own, *(_family(m) for c in read for m in c.collect())]
    return _HEAD + _table(operator) + _SERVING + _table(_serving())


def _serving() -> Iterator[Described]:
    found = Metrics()
    for collector in _collectors(found.registry):
        if isinstance(collector, MetricWrapperBase):
            yield _described(collector)
    for metric in EngineGauges(_Idle(), dict).collect():  # type: ignore[arg-type]
        yield _family(metric)


class _Idle:
    """An engine that does nothing."""

    occupancy = Occupancy()
    adapters = ()


def _collectors(registry: CollectorRegistry) -> list[Collector]:
    return list(registry._collector_to_names)


def _described(metric: MetricWrapperBase) -> Described:
    total = "_total" if metric._type == "counter" else ""
    labels = tuple(metric._labelnames)
    return Described(f"{metric._name}{total}", str(metric._type), labels, metric._documentation)


def _family(metric: Metric) -> Described:
    labels: tuple[str, ...] = tuple(metric._labelnames)  # type: ignore[attr-defined]
    return Described(metric.name, str(metric.type), labels, metric.documentation)


def _table(found: Iterable[Described]) -> str:
    rows = [described.row for described in sorted(found, key=lambda d: d.name)]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows]) + "\n"
