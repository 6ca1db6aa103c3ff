"""What is counted of a job's way through its stages: everything once, under bounded labels."""

from typing import Any

import pytest
from builders import World
from prometheus_client import REGISTRY

from olive_contract.failures import FailureClass
from olive_operator import metrics
from olive_operator.config import TIMEOUTS
from olive_operator.metrics.counters import OTHER, PRODUCTS


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def counted(world: World, what: Any) -> None:
    """Let something happen, and count what has come of it."""
    before = world.seen.job
    what()
    metrics.count(before, world.status)
    metrics.count(world.seen.job, world.status)


def test_stage_that_succeeds_is_timed_once() -> None:
    world = World().settle()
    before = value("olive_stage_duration_seconds_sum", kind="fetch")
    counted(world, lambda: world.finish("fetch/model", seconds=12))
    assert value("olive_stage_duration_seconds_sum", kind="fetch") - before == 12


def test_stage_that_was_in_the_store_is_a_hit_and_is_not_timed() -> None:
    world = World().settle()
    hits = value("olive_stage_cache_hits_total", kind="fetch")
    timed = value("olive_stage_duration_seconds_count", kind="fetch")
    counted(world, lambda: world.finish("fetch/model", cached=True))
    assert value("olive_stage_cache_hits_total", kind="fetch") - hits == 1
    assert value("olive_stage_duration_seconds_count", kind="fetch") == timed


def test_failure_is_counted_by_its_class() -> None:
    world = World().settle()
    labels = {"kind": "fetch", "failure": "DiskFull"}
    before = value("olive_stage_failures_total", **labels)
    counted(world, lambda: world.fail("fetch/model", FailureClass.DISK_FULL))
    assert value("olive_stage_failures_total", **labels) - before == 1


def test_missed_gate_is_counted_once() -> None:
    world = World(evaluate={"gates": [{"metric": "f1", "min": 0.5}]}).settle()
    world.finish("fetch/model", "quantize", "export", "fetch/travel", "check/travel")
    world.finish("finetune/travel", "adapter/travel", "reference/travel")
    before = value("olive_gates_failed_total")
    counted(world, lambda: world.finish("evaluate/travel", metrics={"f1": 0.4}))
    counted(world, lambda: world.wait(60))
    assert value("olive_gates_failed_total") - before == 1


def test_failures_begin_at_zero() -> None:
    every = {(kind, failure.value) for kind in TIMEOUTS for failure in FailureClass}
    assert every <= all_failures().keys()


def test_attempt_that_is_suspended_has_not_failed() -> None:
    world = World().settle().run("fetch/model")
    before = all_failures()
    counted(world, lambda: world.edit(suspend=True))
    assert world.stage("fetch/model").endedAttempt == 1
    assert all_failures() == before


def all_failures() -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for metric in metrics.FAILURES.collect()
        for sample in metric.samples
        if sample.name == "olive_stage_failures_total"
    }


@pytest.mark.parametrize(
    ("products", "counted_as"),
    [([], ""), (["NVIDIA-A10"], "NVIDIA-A10"), (["NVIDIA-A10", "NVIDIA-L4"], "")],
)
def test_gpu_seconds_are_counted_when_they_are_spent(products: list[str], counted_as: str) -> None:
    world = World(gpu={"count": 2, "products": products}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    labels = {"namespace": "ml", "product": counted_as}
    before = value("olive_gpu_seconds_total", **labels)
    counted(world, lambda: world.finish("finetune/travel", seconds=30))
    assert value("olive_gpu_seconds_total", **labels) - before == 60


def test_products_are_counted_apart_up_to_a_number() -> None:
    names = [f"made-up-{number}" for number in range(PRODUCTS + 5)]
    for name in names:
        world = World(gpu={"count": 1, "products": [name]}).settle()
        world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
        counted(world, lambda world=world: world.finish("finetune/travel", seconds=1))
    found = {
        sample.labels["product"]
        for metric in metrics.GPU_SECONDS.collect()
        for sample in metric.samples
    }
    assert len(found) <= PRODUCTS + 1
    assert OTHER in found
    assert names[-1] not in found
