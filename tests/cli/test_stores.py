"""What is kept, and what goes: artifacts and gc."""

import json
from typing import Any

import pytest
from builders import CONFIG, World

from olive_contract.sweep import Sweep
from olive_operator import build
from olive_operator.build.pod import StoreMount

from .api import Objects, Olive, namespace
from .files import hold
from .jobs import artifacts, lived, unused
from .test_diff import AWQ, COSTS, done

GIB = 2**30
SIZES: dict[str, dict[str, Any]] = {
    "fetch/model": {"sizeBytes": 7 * GIB, "seconds": 61.0},
    "fetch": {"sizeBytes": 600 * 2**10, "seconds": 3.0},
    "quantize": {"sizeBytes": int(2.26 * GIB)},
    "finetune": {"sizeBytes": 25 * 2**20},
    "export": {"sizeBytes": int(2.3 * GIB)},
}
KINDS = {kind: {**COSTS.get(kind, {}), **SIZES.get(kind, {})} for kind in {*COSTS, *SIZES}}
CONFIG_MAPS = "/api/v1/configmaps"


def swept_soon(world: World) -> list[dict[str, Any]]:
    """What a job refers to, and the leftovers of an edit: some for weeks, some for an hour."""
    found = artifacts(world, **KINDS)
    since = {"fetch": "2026-10-22T08:00:00Z", "check": "2026-10-30T06:00:00+00:00"}
    since["evaluate"] = "2026-11-20T12:30:00Z"
    return [unused(a, since[a["spec"]["kind"]]) if a["spec"]["kind"] in since else a for a in found]


def configured(objects: Objects, **store: str) -> Objects:
    config = {"images": {}, "namespaces": [], "store": store}
    objects.lists[CONFIG_MAPS] = [
        {"metadata": {"name": "olive-operator"}, "data": {"config.yaml": json.dumps(config)}}
    ]
    return objects


def test_the_artifacts_of_a_namespace(olive: Olive) -> None:
    objects = namespace(artifacts=swept_soon(done(**AWQ)))
    shown = olive.asked(objects, "artifacts")
    assert shown.code == 0
    hold("artifacts.txt", shown.out)


def test_those_that_a_job_refers_to(olive: Olive) -> None:
    """After an edit the job refers to what it is made of now; what it was stays in the store."""
    world = done(**AWQ)
    other: dict[str, Any] = {**AWQ, "quantize": {"algorithm": "rtn"}}
    world.edit(**other).finish("quantize")
    objects = namespace(optimizationjobs=[lived(world, **other)], artifacts=artifacts(world))
    everything = olive.asked(objects, "artifacts").out
    shown = olive.asked(objects, "artifacts", "--of", "travel").out
    assert everything.count("\nquantize ") == 2
    assert shown.count("\nquantize ") == 1
    assert world.stage("quantize").key[:12] in shown


def test_those_of_one_claim(olive: Olive) -> None:
    world = done()
    elsewhere = [
        {**a, "spec": {**a["spec"], "claim": "fast"}}
        for a in artifacts(world)
        if a["spec"]["kind"] == "export"
    ]
    objects = namespace(artifacts=[*artifacts(world), *elsewhere])
    assert "CLAIM" in olive.asked(objects, "artifacts").out
    shown = olive.asked(objects, "artifacts", "--claim", "fast").out.splitlines()
    assert shown[1].split()[0] == "export"
    assert shown[-1] == "1 artifact, 5 B; all are referred to"


def test_there_are_none(olive: Olive) -> None:
    assert olive.asked(namespace(), "artifacts").out == "0 artifacts, 0 B; all are referred to"
    assert olive.asked(namespace(), "gc").out == "there are no artifacts"
    objects = namespace(artifacts=artifacts(done()))
    assert olive.asked(objects, "gc", "--claim", "fast").out == "there are no artifacts"


def test_of_a_job_that_is_not_there(olive: Olive) -> None:
    assert olive.asked(namespace(), "artifacts", "--of", "travel").code == 3


def test_what_the_next_sweep_takes(olive: Olive) -> None:
    objects = configured(namespace(artifacts=swept_soon(done(**AWQ))), retention="21d")
    shown = olive.asked(objects, "gc")
    assert shown.code == 0
    hold("gc.txt", shown.out)


def test_a_store_that_is_too_large(olive: Olive) -> None:
    """What is unused the longest goes before its time, until the rest fits."""
    objects = namespace(artifacts=swept_soon(done(**AWQ)))
    configured(objects, retention="60d", maxSize="11Gi")
    shown = olive.asked(objects, "gc").out
    rows = {line.split()[0]: line.rpartition("  ")[2] for line in shown.splitlines()[1:]}
    assert rows["fetch/model"] == "now"
    assert rows["check/quantize"] == "2026-12-29 06:00 UTC"
    assert rows["evaluate/travel"] == "2027-01-19 12:30 UTC"


@pytest.mark.parametrize("text", ["a: [", "- a", "retention: 1d", ""])
def test_a_config_map_of_somebody_else_is_no_policy(olive: Olive, text: str) -> None:
    objects = configured(namespace(artifacts=swept_soon(done(**AWQ))), retention="21d")
    other = {"metadata": {"name": "other"}, "data": {"config.yaml": text}}
    objects.lists[CONFIG_MAPS].insert(0, other)
    assert olive.asked(objects, "gc").out.endswith("what is unused goes after 21d")


def test_a_policy_that_one_may_not_read_is_taken_for_the_charts(olive: Olive) -> None:
    objects = namespace(artifacts=swept_soon(done(**AWQ)))
    objects.texts[CONFIG_MAPS] = (403, '{"message": "jo cannot list resource configmaps"}')
    told = olive.asked(objects, "gc").out.splitlines()[-1]
    assert told.startswith("what is unused goes after 30d (the chart's default: ")


def test_a_store_that_is_kept_for_ever(olive: Olive) -> None:
    objects = configured(namespace(artifacts=swept_soon(done(**AWQ))), retention="")
    shown = olive.asked(objects, "gc").out.splitlines()
    assert all(line.endswith("never") for line in shown[1:6])
    assert shown[-1] == "what is unused goes never for its age"


@pytest.mark.parametrize("over", [False, True])
def test_a_sweep_that_is_under_way(olive: Olive, over: bool) -> None:
    found = swept_soon(done(**AWQ))
    going = next(a["spec"]["key"] for a in found if a["spec"]["stage"] == "fetch/model")
    sweep = build.sweep("ml", Sweep((going,)), StoreMount("olive-store", False), CONFIG)
    if over:
        ended = {"type": "Complete", "status": "True"}
        sweep["status"] = {"conditions": [ended]}
    objects = configured(namespace(artifacts=found, jobs=[sweep]), retention="60d")
    shown = olive.asked(objects, "gc").out
    assert ("is going" in shown) is not over
    assert (f"a sweep is at work: kubectl describe job -n ml {_name(sweep)}" in shown) is not over


def test_it_removes_nothing(olive: Olive) -> None:
    with olive.facing(configured(namespace(artifacts=swept_soon(done())))) as here:
        here("gc")
        assert here.stand_in
        assert all(asked.body is None for asked in here.stand_in.asked)


def _name(body: dict[str, Any]) -> str:
    return str(body["metadata"]["name"])
