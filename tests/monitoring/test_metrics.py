"""The metrics themselves: as Prometheus' own linter wants them, and all on their page."""

import re
import subprocess

import pytest
from builders import World
from olive_dashboards.written import FOLDER, ROOT
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from olive_contract.stage import Progress
from olive_operator import metrics
from olive_serve.metrics import Metrics

PAGE = (ROOT / "docs/metrics.md").read_text()
RULES = ROOT / "charts/olive-operator/files/rules.yaml"
ASKED = {path.name: path.read_text() for path in (RULES, *FOLDER.glob("*.json"))}
"""What asks for metrics. Many a query is content with none: `or vector(0)`."""


def complaints(promtool: str, told: bytes) -> list[str]:
    """What promtool finds wrong, line by line."""
    done = subprocess.run([promtool, "check", "metrics"], input=told, capture_output=True)
    return done.stderr.decode().splitlines()


def of_a_job() -> bytes:
    """All that is told of a job whose training runs."""
    world = World(gpu={"count": 1}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel").run("finetune/travel")
    world.says("finetune/travel", Progress(40, remainingSeconds=90, loss=2.5))
    planned, registry = {("ml", "travel"): world.seen.job}, CollectorRegistry()
    registry.register(metrics.Jobs(planned))
    registry.register(metrics.EachJob(planned, 1))
    return generate_latest(registry)


def test_promtool_has_nothing_against_the_operators(promtool: str) -> None:
    assert complaints(promtool, generate_latest(REGISTRY) + of_a_job()) == []


def test_promtool_has_nothing_against_the_servings_but_vllms_colon(promtool: str) -> None:
    served = Metrics()
    served.prompt_tokens.labels("travel").inc()
    served.first_token.labels("travel").observe(0.1)
    served.refused.labels("404").inc()
    for complaint in complaints(promtool, served.text()):
        assert complaint.startswith("vllm:")
        assert complaint.endswith("metric names should not contain ':'")


def test_every_counter_of_the_operator_is_on_the_page() -> None:
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("olive_")}
    assert ours
    assert {name for name in ours if f"| `{name}" not in PAGE} == set()


@pytest.mark.parametrize("name", ASKED)
def test_every_metric_that_is_asked_for_is_on_the_page(name: str) -> None:
    asked = set(re.findall(r"(?<![\w:])(?:olive_|vllm:)\w+", ASKED[name]))
    assert asked
    told = set(re.findall(r"^\| `([\w:]+)`", PAGE, re.M))
    assert {re.sub(r"_(bucket|count|sum)$", "", metric) for metric in asked} <= told
