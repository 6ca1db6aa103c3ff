"""``olive_store_bytes``, as the stores were at the last look, and how much they may hold."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class StoreSizes(Collector):
    """A series or two for each claim. ``limit``: the bytes of store.maxSize, 0 for none."""

    def __init__(self, limit: float = 0) -> None:
        self.of: dict[tuple[str, str], tuple[int, int]] = {}
        self._limit = limit

    def collect(self) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "olive_store_bytes",
            "Bytes of the artifacts in a claim's store, referred to by something (true) or not.",
            labels=["namespace", "claim", "used"],
        )
        limit = GaugeMetricFamily(
            "olive_store_limit_bytes",
            "Bytes of artifacts that a claim's store may have (store.maxSize), where that is set.",
            labels=["namespace", "claim"],
        )
        for (namespace, claim), (used, unused) in self.of.copy().items():
            found.add_metric([namespace, claim, "true"], used)
            found.add_metric([namespace, claim, "false"], unused)
            if self._limit:
                limit.add_metric([namespace, claim], self._limit)
        yield found
        yield limit
