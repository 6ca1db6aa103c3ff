"""What applying a manifest would run: told of a world whose store is full."""

from typing import Any

from builders import World, adapter

from olive_contract.failures import FailureClass
from olive_operator.api.status import State

from .api import Objects, Olive, at, namespace
from .files import hold
from .jobs import artifacts, lived
from .kubectl import Kubectl, diff

AWQ = {
    "quantize": {
        "algorithm": "awq",
        "calibration": {"source": "pvc://data/c.jsonl", "template": "{text}"},
    },
}
COSTS = {
    "quantize": {"seconds": 93.0, "gpuSeconds": 93},
    "finetune": {"seconds": 720.0, "gpuSeconds": 720},
    "export": {"seconds": 19.0},
}


def done(**sections: Any) -> World:
    """A job that is Ready: every stage was run, and is in the store."""
    world = World(**sections).settle()
    while left := [s.name for s in world.status.stages if s.state == State.PENDING]:
        world.finish(*left)
    return world


def of(world: World, **sections: Any) -> Objects:
    job = lived(world, **sections)
    return namespace(optimizationjobs=[job], artifacts=artifacts(world, **COSTS))


def test_nothing_changes(olive: Olive, kubectl: Kubectl) -> None:
    objects = of(done(**AWQ), **AWQ)
    objects.lists[at("artifacts")][0]["spec"]["published"] = {"reference": "r", "newer": 1}
    kubectl.would_make(**AWQ)
    ended = diff(olive, objects)
    assert ended.code == 0
    hold("diff-nothing.txt", ended.out)
    assert "runs" not in ended.out


def test_an_adapter_is_trained_otherwise(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(**AWQ, adapters=[adapter("travel", rank=32)])
    ended = diff(olive, of(done(**AWQ), **AWQ))
    assert ended.code == 1
    hold("diff-lora.txt", ended.out)


def test_the_model_is_quantized_otherwise(olive: Olive, kubectl: Kubectl) -> None:
    """All that is below it is made anew, and nothing that it reads."""
    kubectl.would_make(quantize={**AWQ["quantize"], "groupSize": 32})
    hold("diff-quantize.txt", diff(olive, of(done(**AWQ), **AWQ)).out)


def test_an_adapter_joins(olive: Olive, kubectl: Kubectl) -> None:
    """Nobody knows what its data holds, nor what a training costs that was never run."""
    kubectl.would_make(**AWQ, adapters=[adapter("travel"), adapter("food")])
    hold("diff-adapter.txt", diff(olive, of(done(**AWQ), **AWQ)).out)


def test_another_model(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(**AWQ, model={"source": "pvc://models/other"})
    hold("diff-model.txt", diff(olive, of(done(**AWQ), **AWQ)).out)


def test_a_job_that_is_not_there_yet(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(**AWQ)
    ended = diff(olive, namespace())
    assert ended.code == 1
    hold("diff-new.txt", ended.out)


def test_a_gate_alone_runs_nothing(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(evaluate={"gates": [{"metric": "perplexity", "max": 9.5}]})
    ended = diff(olive, of(done()))
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "travel: nothing would run")


def test_a_change_back_finds_what_was_made_before(olive: Olive, kubectl: Kubectl) -> None:
    world = done(**AWQ)
    other = {**AWQ, "adapters": [adapter("travel", rank=32)]}
    world.edit(**other)
    world.finish("check/travel", "finetune/travel")
    kubectl.would_make(**AWQ)
    assert diff(olive, of(world, **other)).code == 0


def test_what_was_swept_is_made_again_only_if_it_is_read(olive: Olive, kubectl: Kubectl) -> None:
    world = done(**AWQ)
    objects = of(world, **AWQ)
    swept = {"fetch", "check", "quantize"}
    there = objects.lists[at("artifacts")]
    objects.lists[at("artifacts")] = [a for a in there if a["spec"]["kind"] not in swept]
    kubectl.would_make(**AWQ)
    unchanged = diff(olive, objects)
    assert unchanged.code == 0
    assert "not needed" in unchanged.out
    kubectl.would_make(**AWQ, adapters=[adapter("travel", rank=32)])
    hold("diff-swept.txt", diff(olive, objects).out)


def test_what_runs_is_ended_where_it_is_in_vain(olive: Olive, kubectl: Kubectl) -> None:
    world = World().settle().finish("fetch/model", "fetch/travel").finish("quantize")
    world.run("export")
    kubectl.would_make(quantize={"algorithm": "rtn", "groupSize": 64})
    told = diff(olive, of(world)).out
    assert "groupSize 32 → 64" in told
    assert "its attempt under way is ended" in told
    kubectl.would_make(evaluate={"samples": 8})
    assert "goes on" in diff(olive, of(world)).out


def test_what_has_failed_stays_failed(olive: Olive, kubectl: Kubectl) -> None:
    world = World().settle().finish("fetch/model")
    world.fail("fetch/travel", FailureClass.INVALID_INPUT)
    kubectl.would_make(evaluate={"samples": 8})
    told = diff(olive, of(world)).out
    assert "stays failed" in told
    assert told.splitlines()[-1] == "fetch/travel stays failed: kubectl olive retry travel -n ml"


def test_two_adapters_on_one_training_cost_one(olive: Olive, kubectl: Kubectl) -> None:
    twin = {**adapter("travel"), "name": "twin"}
    kubectl.would_make(adapters=[adapter("travel", rank=32), {**twin, "lora": {"rank": 32}}])
    told = diff(olive, of(done())).out
    assert "finetune/travel makes the same" in told
    assert "about 12 GPU minutes by the last run" in told


def test_another_claim_has_nothing(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(storage={"claim": "fast"})
    told = diff(olive, of(done())).out
    assert "another store: claim fast" in told
    assert "cached" not in told


def test_a_suspended_job(olive: Olive, kubectl: Kubectl) -> None:
    kubectl.would_make(**AWQ, suspend=True)
    assert "none of this runs until it is resumed" in diff(olive, namespace()).out
