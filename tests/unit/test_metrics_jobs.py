"""What the statuses of jobs come to as series: of all jobs together, and of single ones."""

from dataclasses import replace
from typing import Any

import pytest
from builders import NOON, World, adapter, job_seen, spec
from prometheus_client import CollectorRegistry

from olive_contract.failures import FailureClass
from olive_contract.stage import Progress
from olive_operator.api.seen import JobSeen
from olive_operator.api.spec import Spec
from olive_operator.metrics import EachJob, Jobs, StoreSizes
from olive_operator.metrics.each_job import STAGES
from olive_operator.metrics.reading import gpus
from olive_operator.plan.clock import instant
from olive_operator.plan.graph import graph

Series = dict[tuple[str, ...], float]
Key = tuple[str, str]


def series(collector: Any) -> dict[str, Series]:
    """Values by the labels' values, by name."""
    registry = CollectorRegistry()
    registry.register(collector)
    return {
        metric.name: {tuple(s.labels.values()): s.value for s in metric.samples}
        for metric in registry.collect()
    }


def planned(*worlds: World, **names: str) -> dict[Key, JobSeen]:
    """The jobs of these worlds, in namespaces a, b, … under the name travel."""
    jobs = [replace(w.seen.job, namespace=n) for w, n in zip(worlds, "abcd", strict=False)]
    return {(job.namespace, job.name): job for job in jobs}


def training(**sections: Any) -> World:
    """Its fine-tuning runs on a GPU."""
    world = World(gpu={"count": 2}, **sections).settle()
    return world.finish("fetch/model", "fetch/travel", "quantize", "export", "check/travel").run(
        "finetune/travel"
    )


def test_no_job_no_series() -> None:
    assert {name: found for name, found in series(Jobs({})).items() if found} == {}
    assert {name: found for name, found in series(EachJob({}, 5)).items() if found} == {}


def test_jobs_are_counted_by_namespace_and_phase() -> None:
    found = series(Jobs(planned(World().settle(), training(), training())))
    assert found["olive_jobs"] == {("a", "Pending"): 1, ("b", "Running"): 1, ("c", "Running"): 1}
    assert found["olive_stages"]["b", "finetune", "Running"] == 1


def test_stalled_jobs_are_counted_by_what_they_wait_for() -> None:
    world = World().settle()
    said = 'secret "hub" not found'
    world.pod("fetch/model", waiting="CreateContainerConfigError", waitingMessage=said)
    jobs = planned(world, World().settle())
    assert series(Jobs(jobs))["olive_jobs_stalled"] == {("a", "SecretNotFound"): 1}
    assert series(EachJob(jobs, 5))["olive_job_stalled"] == {("a", "travel", "SecretNotFound"): 1}


def test_gpus_are_held_while_a_stage_runs_on_them() -> None:
    world = training()
    found = series(Jobs(planned(world)))
    assert found["olive_gpus_held"] == {("a", ""): 2}
    assert found["olive_gpus_waiting"] == {}
    world.finish("finetune/travel")
    assert series(Jobs(planned(world)))["olive_gpus_held"] == {}


def test_gpus_are_waited_for_while_a_stage_is_due() -> None:
    world = World(gpu={"count": 2, "products": ["NVIDIA-A10"]}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "export", "check/travel")
    found = series(Jobs(planned(world)))
    assert found["olive_gpus_waiting"] == {("a", "NVIDIA-A10"): 2}
    assert found["olive_gpus_held"] == {}


def test_progress_on_a_gpu_is_as_old_as_the_most_silent_stage() -> None:
    silent, says = training(), training()
    began = silent.now
    for world in (silent, says):
        world.wait(60)
    says.says("finetune/travel", Progress(30))
    jobs = planned(silent, says)
    in_one = {("a", name): replace(job, namespace="a") for (name, _), job in jobs.items()}
    found = series(Jobs(in_one))["olive_gpu_progress_timestamp_seconds"]
    assert found == {("a",): began.timestamp()}


def waits_since(world: World) -> float | None:
    found = series(Jobs(planned(world)))["olive_waiting_since_timestamp_seconds"]
    return found[("a",)] - NOON.timestamp() if found else None


def test_waiting_begins_when_a_stage_is_due_and_none_runs() -> None:
    world = World(adapters=None).settle()
    assert waits_since(world) == 0
    world.wait(100)
    assert waits_since(world) == 0
    world.run("fetch/model")
    assert waits_since(world) is None
    world.finish("fetch/model", seconds=10)
    assert waits_since(world) == 110


def test_what_ran_out_of_time_does_not_wait_before_it_is_due_again() -> None:
    world = World(adapters=None, timeouts={"fetch": "1h"}).settle().run("fetch/model")
    since = waits_since(world.wait(3600))
    assert since is not None
    assert since > 3600, "it ran until then, and is not to run at once"


def test_waiting_begins_anew_when_a_job_is_resumed() -> None:
    world = World(adapters=None, suspend=True).settle()
    assert waits_since(world) is None
    world.wait(5000)
    world.edit(adapters=None)
    assert waits_since(world) == 5000


def test_waiting_begins_anew_when_what_has_failed_is_tried_again() -> None:
    world = World(adapters=None).settle().fail("fetch/model", FailureClass.INVALID_INPUT)
    assert waits_since(world) is None
    world.wait(5000)
    now = (world.now - NOON).total_seconds()
    world.annotate_retry("again")
    assert waits_since(world) == now


def test_waiting_begins_anew_when_what_has_failed_is_edited() -> None:
    world = World(adapters=None).settle().finish("fetch/model")
    world.fail("quantize", FailureClass.INVALID_INPUT).wait(5000)
    now = (world.now - NOON).total_seconds()
    world.edit(adapters=None, quantize={"algorithm": "rtn", "groupSize": 64})
    assert waits_since(world) == now


def test_a_stall_does_not_end_the_waiting() -> None:
    world = World(adapters=None).settle().wait(50)
    said = 'secret "hub" not found'
    world.pod("fetch/model", waiting="CreateContainerConfigError", waitingMessage=said)
    assert world.condition("Stalled")[0] == "True"
    assert waits_since(world) == 0


def test_what_another_stage_builds_is_not_waited_for() -> None:
    twins = [adapter("travel"), adapter("travel") | {"name": "again"}]
    world = World(adapters=twins).settle().finish("fetch/model")
    assert world.stage("fetch/again").reason == "BuiltByAnotherStage"
    world.run("fetch/travel")
    found = series(Jobs(planned(world)))["olive_stages_pending"]
    assert ("a", "BuiltByAnotherStage") not in found


SPECS: dict[str, dict[str, Any]] = {
    "the usual job": {},
    "no GPU": {"gpu": {"count": 0}},
    "awq": {"quantize": {"algorithm": "awq"}},
    "gptq on two": {"quantize": {"algorithm": "gptq"}, "gpu": {"count": 2}},
    "a workflow": {"quantize": None, "workflow": {"passes": {}}},
    "an adapter made elsewhere": {"adapters": [{"name": "x", "source": "hf://a/b"}]},
    "nothing but the model": {"quantize": None, "adapters": None, "evaluate": None},
}


@pytest.mark.parametrize("name", SPECS)
def test_who_holds_a_gpu_is_what_the_graph_says(name: str) -> None:
    given = Spec.from_body(spec(**SPECS[name]))
    for stage in graph(given):
        assert gpus(given, stage.name) == (given.gpu.count if stage.gpu else 0), stage.name


def test_running_stage_tells_how_far_it_is() -> None:
    world = training()
    world.says("finetune/travel", Progress(40, remainingSeconds=90, loss=2.5))
    found, named = series(EachJob(planned(world), 1)), ("a", "travel", "finetune/travel")
    assert found["olive_job_stage_info"][*named, "Running", "Running"] == 1
    assert found["olive_job_stage_progress_ratio"] == {named: 0.4}
    assert found["olive_job_stage_remaining_seconds"] == {named: 90}
    assert found["olive_job_stage_loss"] == {named: 2.5}
    told = instant(world.stage("finetune/travel").progressedAt).timestamp()
    assert found["olive_job_stage_progress_timestamp_seconds"] == {named: told}


def test_report_of_a_stage_stays_when_its_pod_is_gone() -> None:
    world = training()
    measured = {"trainLoss": 1.5, "evalLoss": 1.75, "tokensPerSecond": 900.0, "steps": 8.0}
    world.finish("finetune/travel", seconds=2, metrics=measured).wait(3600)
    found, named = series(EachJob(planned(world), 1)), ("a", "travel", "finetune/travel")
    assert found["olive_job_stage_train_loss"] == {named: 1.5}
    assert found["olive_job_stage_eval_loss"] == {named: 1.75}
    assert found["olive_job_stage_tokens_per_second"] == {named: 900}
    assert found["olive_job_stage_duration_seconds"][named] == 2
    assert found["olive_job_stage_gpu_seconds"] == {named: 4}
    assert found["olive_job_stage_loss"] == {}


def test_what_a_report_says_beyond_that_has_no_series() -> None:
    world = World().settle().finish("fetch/model", metrics={"/etc/passwd": 1.0, "rows": 3.0})
    names = {name for name, found in series(EachJob(planned(world), 1)).items() if found}
    assert names == {
        "olive_job_info",
        "olive_job_gpu_seconds",
        "olive_job_stage_info",
        "olive_job_stage_attempts",
        "olive_job_stage_duration_seconds",
    }


def many(count: int) -> dict[Key, JobSeen]:
    """Each began a minute after the one before."""
    first = World().settle().seen.job
    found: dict[Key, JobSeen] = {}
    for minute in range(count):
        at = f"2026-11-20T13:{minute:02}:00Z"
        status = replace(first.status, startedAt=at)
        found["ml", f"job-{minute}"] = replace(first, name=f"job-{minute}", status=status)
    return dict(sorted(found.items(), key=lambda item: hash(item[0])))


@pytest.mark.parametrize(
    ("limit", "told"), [(0, []), (2, ["job-8", "job-9"]), (50, [f"job-{n}" for n in range(10)])]
)
def test_only_the_latest_changed_have_series(limit: int, told: list[str]) -> None:
    found = series(EachJob(many(10), limit))["olive_job_info"]
    assert sorted(name for _, name, _ in found) == told


def test_jobs_with_many_stages_are_fewer() -> None:
    adapters = [adapter(f"a{n}") for n in range(12)]
    large = World(adapters=adapters).settle().seen.job
    jobs = {("ml", f"job-{n}"): replace(large, name=f"job-{n}") for n in range(4)}
    found = series(EachJob(jobs, 4))["olive_job_stage_info"]
    assert 2 * STAGES < len(large.status.stages) < 4 * STAGES
    assert len(found) == len(large.status.stages)


def test_job_that_is_gone_has_no_series() -> None:
    jobs = planned(World().settle())
    collector = EachJob(jobs, 5)
    assert series(collector)["olive_job_info"]
    jobs.clear()
    assert series(collector)["olive_job_info"] == {}


def test_job_without_any_stage_yet_is_no_mistake() -> None:
    jobs = {("ml", "travel"): job_seen(spec())}
    assert series(EachJob(jobs, 5))["olive_job_info"] == {("ml", "travel", ""): 1}
    assert series(Jobs(jobs))["olive_jobs"] == {("ml", ""): 1}


@pytest.mark.parametrize(("limit", "told"), [(0, {}), (1e9, {("ml", "olive-store"): 1e9})])
def test_stores_tell_what_they_hold_and_may_hold(limit: float, told: Series) -> None:
    sizes = StoreSizes(limit)
    sizes.of = {("ml", "olive-store"): (700, 30)}
    found = series(sizes)
    assert found["olive_store_bytes"] == {
        ("ml", "olive-store", "true"): 700,
        ("ml", "olive-store", "false"): 30,
    }
    assert found["olive_store_limit_bytes"] == told
