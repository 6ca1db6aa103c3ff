"""A recording in the place of one of a real run: the operator's and the serving's own metrics, of a
job that is carried out in memory. It goes when recordings/ has a real one.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders import World
from olive_dashboards.record import Pod, lines
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from olive_contract.failures import FailureClass
from olive_contract.stage import Progress
from olive_operator import metrics
from olive_operator.api.seen import JobSeen
from olive_serve.engine import Occupancy
from olive_serve.metrics import EngineGauges, Metrics

STEP = 5.0
OPERATOR = Pod("olive-system", "operator-0", 8080)
SERVING = Pod("ml", "travel-serving-0", 8081, "travel")


class Story:
    """What goes on, and what is scraped of it every five seconds."""

    def __init__(self) -> None:
        self.world = World(gpu={"count": 1, "products": ["NVIDIA-A10"]})
        self.planned: dict[tuple[str, str], JobSeen] = {}
        self.sizes = metrics.StoreSizes(1e12)
        self.registry = CollectorRegistry()
        for read in (metrics.Jobs(self.planned), metrics.EachJob(self.planned, 5), self.sizes):
            self.registry.register(read)
        self.served: Metrics | None = None
        self.text: list[str] = []

    def tell(self) -> Iterator[str]:
        """The whole of it, as a recording."""
        metrics.LEADING.set(1)
        metrics.watch_queue(lambda: 0)
        self.step(self.world.settle)
        for stage in ("fetch/model", "fetch/travel"):
            self.step(lambda stage=stage: self.world.run(stage), 2)
            self.step(lambda stage=stage: self.world.finish(stage, seconds=STEP))
        self.step(lambda: self.world.fail("quantize", FailureClass.STAGE_ERROR, seconds=STEP))
        self.step(lambda: None, 4)
        for stage in ("quantize", "export", "check/travel"):
            self.step(lambda stage=stage: self.world.finish(stage, seconds=STEP))
        self.step(lambda: None, 3)
        self.step(lambda: self.world.run("finetune/travel"))
        for percent in range(5, 100, 5):
            said = Progress(percent, remainingSeconds=100 - percent, loss=4 / (1 + percent / 20))
            self.step(lambda said=said: self.world.says("finetune/travel", said))
        trained = {"trainLoss": 0.7, "evalLoss": 0.9, "peakGpuMemoryBytes": 6.8e9}
        self.step(lambda: self.world.finish("finetune/travel", seconds=STEP, metrics=trained))
        self.step(lambda: self.world.finish("adapter/travel", "reference/travel", seconds=STEP))
        measured = {
            "perplexity": 6.1,
            "basePerplexity": 9.5,
            "originalPerplexity": 9.1,
            "exactMatch": 0.8,
            "f1": 0.9,
            "tokensPerSecond": 31.0,
            "sizeBytes": 2.3e9,
            "timeToFirstTokenSeconds": 0.21,
        }
        self.step(lambda: self.world.finish("evaluate/travel", seconds=STEP, metrics=measured))
        self.served = Metrics()
        self.served.registry.register(EngineGauges(_Engine(), dict))  # type: ignore[arg-type]
        self.step(self.world.roll_out)
        self.step(self.ask, 30)
        yield from self.text
        yield "# EOF\n"

    def ask(self) -> None:
        """Somebody asks the adapter."""
        assert self.served
        told = self.served
        told.generation_tokens.labels("travel").inc(120)
        told.success.labels("travel", "stop").inc(3)
        told.first_token.labels("travel").observe(0.2)
        told.between_tokens.labels("travel").observe(0.03)
        told.refused.labels("401").inc()

    def step(self, what: Any, times: int = 1) -> None:
        """Let it happen, wait, and scrape."""
        for _ in range(times):
            before = self.world.seen.job
            what()
            self.world.wait(STEP)
            metrics.count(before, self.world.status)
            metrics.RECONCILE_SECONDS.observe(0.004)
            metrics.QUEUE_SECONDS.observe(0.001)
            job = self.world.seen.job
            self.planned[job.namespace, job.name] = job
            self.sizes.of = {("ml", "olive-store"): (len(self.text) * 1000, 5000)}
            self._scrape()

    def _scrape(self) -> None:
        at = self.world.now.timestamp()
        for registry in (REGISTRY, self.registry):
            self.text += lines(generate_latest(registry).decode(), OPERATOR.labels, at)
        if self.served:
            self.text += lines(self.served.text().decode(), SERVING.labels, at)


class _Engine:
    occupancy = Occupancy(running=("k",), waiting=(), kv_cache_usage=0.25)
    adapters = ("k",)


def write(to: Path) -> Path:
    """The recording in a file."""
    with gzip.open(to, "wt") as file:
        file.writelines(Story().tell())
    return to
