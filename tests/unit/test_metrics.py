"""What is counted of a job's way through its stages: everything once, under bounded labels."""

from typing import Any

import pytest
from builders import World
from prometheus_client import REGISTRY

from olive_contract.failures import FailureClass
from olive_operator import metrics


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def counted(world: World, what: Any) -> None:
    """Let something happen, and count what has come of it."""
    before = world.status
    what()
    metrics.count("ml", before, world.status)
    metrics.count("ml", world.status, world.status)


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


def test_gpu_seconds_are_counted_when_they_are_spent() -> None:
    world = World(gpu={"count": 1}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    before = value("olive_gpu_seconds_total", namespace="ml")
    counted(world, lambda: world.finish("finetune/travel", seconds=30))
    assert value("olive_gpu_seconds_total", namespace="ml") - before == 30


@pytest.mark.parametrize(
    ("phases", "found"),
    [
        ({}, {}),
        (
            {("a", "x"): "Ready", ("a", "y"): "Ready", ("b", "x"): "Failed"},
            {("a", "Ready"): 2, ("b", "Failed"): 1},
        ),
    ],
)
def test_jobs_are_counted_by_namespace_and_phase(
    phases: dict[tuple[str, str], str], found: dict[tuple[str, str], int]
) -> None:
    collector = metrics.Phases()
    collector.of = phases
    [metric] = collector.collect()
    assert {tuple(s.labels.values()): s.value for s in metric.samples} == found
