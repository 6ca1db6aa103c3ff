"""Prometheus metrics, under vLLM's names where vLLM has one: autoscalers and gateways read those.

Labels are bounded: ``model_name`` is a name that ``serving.json`` offers. The gauges describe the
whole engine and have one series each, as with vLLM, because gateways read the first they find.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from olive_contract.serving import BASE_NAME
from olive_serve.engine import Engine, Occupancy

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_TOKEN_SECONDS: Final = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5)


class Metrics:
    """Everything that is counted, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.prompt_tokens = self._counter("vllm:prompt_tokens", "Prompt tokens read.")
        self.generation_tokens = self._counter("vllm:generation_tokens", "Tokens generated.")
        self.success = self._counter(
            "vllm:request_success", "Requests answered to the end.", "finished_reason"
        )
        self.first_token = self._histogram(
            "vllm:time_to_first_token_seconds", "From the request to its first token."
        )
        self.between_tokens = self._histogram(
            "vllm:inter_token_latency_seconds", "From one token to the next.", _TOKEN_SECONDS
        )
        self.per_token = self._histogram(
            "vllm:request_time_per_output_token_seconds",
            "Mean time per token after the first, of a request.",
            _TOKEN_SECONDS,
        )
        self.whole = self._histogram(
            "vllm:e2e_request_latency_seconds", "From the request to its last token."
        )
        self.refused = Counter(
            "olive_serve_requests_refused",
            "Requests answered with an error.",
            ("code",),
            registry=self.registry,
        )
        self.engine_restarts = Counter(
            "olive_serve_engine_restarts",
            "Engines started after a ready one.",
            registry=self.registry,
        )
        self.adapter_failures = Counter(
            "olive_serve_adapter_load_failures",
            "Adapters that failed to load.",
            registry=self.registry,
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, ("model_name", *labels), registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
        return Histogram(name, about, ("model_name",), buckets=buckets, registry=self.registry)


class EngineGauges(Collector):
    """What the engine does at the moment of the scrape."""

    def __init__(self, engine: Engine, routes: Callable[[], Mapping[str, str]]) -> None:
        self._engine = engine
        self._routes = routes

    def collect(self) -> Iterator[Metric]:
        now: Occupancy = self._engine.occupancy
        yield _gauge("vllm:num_requests_running", "Requests being computed.", len(now.running))
        yield _gauge("vllm:num_requests_waiting", "Requests in the queue.", len(now.waiting))
        yield _gauge("vllm:kv_cache_usage_perc", "Reserved share, 0 to 1.", now.kv_cache_usage)
        yield _gauge("olive_serve_adapters", "Adapters loaded.", len(self._engine.adapters))
        info = GaugeMetricFamily(
            "vllm:lora_requests_info",
            "Adapters with requests; the value is the time of the scrape.",
            labels=("max_lora", "running_lora_adapters", "waiting_lora_adapters"),
        )
        info.add_metric(
            (str(len(self._routes())), self._names(now.running), self._names(now.waiting)),
            time.time(),
        )
        yield info

    def _names(self, keys: Iterable[str | None]) -> str:
        name_of = {key: name for name, key in self._routes().items()}
        return ",".join(sorted(name_of[k] for k in set(keys) if k in name_of))


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=("model_name",))
    family.add_metric((BASE_NAME,), value)
    return family
