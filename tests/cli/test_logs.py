"""The log of a stage, as far as there is one."""

import json
from typing import Any

from builders import World

from olive_contract.failures import FailureClass

from .api import JSON, Ended, Objects, Olive, at, namespace
from .files import hold
from .jobs import lived
from .standin import Asked

LOG = 'loading\n{"progress": {"loss": 0.81, "percent": 60, "remainingSeconds": 12}}\nsaved é'


def trained() -> World:
    world = World().settle()
    return world.finish("fetch/model").run("quantize")


def asked(olive: Olive, world: World, stage: str, log: tuple[int, str], *more: str) -> Ended:
    """The log of a stage whose pod's log is answered in this way."""
    objects = namespace(optimizationjobs=[lived(world)])
    pod = world.stage(stage).pod
    objects.texts[at("pods", pod, "log", base="/api/v1")] = log
    return olive.asked(objects, "logs", "travel", stage, *more)


def test_the_log_of_what_runs(olive: Olive) -> None:
    ended = asked(olive, trained(), "quantize", (200, LOG))
    assert ended.code == 0
    assert ended.out.splitlines() == ["loading", " 60%  12 s left  loss 0.8100", "saved é"]


TRAINING = """\
olive_stage.finetune: 3.8 G parameters, int4; LoRA of rank 16 on 224 layers
{"progress": {"loss": 1.9034, "percent": 20, "remainingSeconds": 63}}
{"progress": {"loss": 0.8123, "percent": 60, "remainingSeconds": 31}}
"""


def test_the_log_of_a_training(olive: Olive) -> None:
    world = trained().finish("fetch/travel", "quantize").run("check/travel")
    world.finish("check/travel").run("finetune/travel")
    hold("logs.txt", asked(olive, world, "finetune/travel", (200, TRAINING)).out)


def test_it_is_followed_if_that_is_asked_for(olive: Olive) -> None:
    world = trained()
    objects = namespace(optimizationjobs=[lived(world)])
    queries: list[dict[str, str]] = []

    def answer(asked: Asked) -> tuple[int, str, str]:
        if asked.path.endswith("/log"):
            queries.append(asked.query)
            return 200, "text/plain", "one\ntwo\n"
        return objects(asked)

    for flags in ([], ["-f"]):
        ended = olive.asked(answer, "logs", "travel", "quantize", *flags)  # type: ignore[arg-type]
        assert ended.out.splitlines() == ["one", "two"]
    assert queries == [{}, {"follow": "true"}]


def test_a_pod_that_is_gone_leaves_the_last_failure(olive: Olive) -> None:
    world = trained().fail("quantize", FailureClass.STAGE_ERROR, message="loss is NaN")
    ended = asked(olive, world, "quantize", (404, '{"message": "pods not found"}'))
    assert (ended.code, ended.out) == (3, "")
    assert "is gone, and its log with it; the last failure: StageError: loss is NaN" in ended.err


def test_a_pod_that_has_not_begun(olive: Olive) -> None:
    world = trained()
    world.finish("quantize").pod("export", node="n1", waiting="ContainerCreating")
    why = 'container "stage" in pod "x" is waiting to start: ContainerCreating'
    ended = asked(olive, world, "export", (400, json.dumps({"message": why})))
    assert ended.code == 1
    assert "has not begun (ContainerCreating): kubectl olive why travel -n ml" in ended.err


def test_a_stage_that_was_not_tried(olive: Olive) -> None:
    ended = olive.asked(
        namespace(optimizationjobs=[lived(trained())]), "logs", "travel", "adapter/travel"
    )
    assert ended.code == 3
    assert "adapter/travel has not been tried yet (waits for " in ended.err


def test_a_stage_that_was_in_the_store(olive: Olive) -> None:
    body = lived(trained())
    body["status"]["stages"][0] = {
        "name": "fetch/model",
        "state": "Succeeded",
        "reason": "Cached",
        "cached": True,
    }
    ended = olive.asked(namespace(optimizationjobs=[body]), "logs", "travel", "fetch/model")
    assert ended.code == 3
    assert ended.err.endswith("nothing to run: its artifact was in the store already")


def test_an_attempt_that_was_ended_may_still_have_its_pod(olive: Olive) -> None:
    """A suspended stage has no pod in its status; the attempt's is found by its Job."""
    body = lived(trained())
    for stage in body["status"]["stages"]:
        stage.pop("pod", None)
    objects, selectors = namespace(optimizationjobs=[body]), []
    pod = {"metadata": {"name": "the-pod", "creationTimestamp": "2026-11-20T12:00:00Z"}}
    objects.texts[at("pods", "the-pod", "log", base="/api/v1")] = (200, "checkpoint saved\n")

    def answer(asked: Asked) -> tuple[int, str, str]:
        if asked.path == at("pods", base="/api/v1"):
            selectors.append(asked.query["labelSelector"])
            return 200, JSON, json.dumps({"items": [pod]})
        return objects(asked)

    ended = olive.asked(answer, "logs", "travel", "quantize")  # type: ignore[arg-type]
    assert ended.out == "checkpoint saved"
    attempt = trained().attempt("quantize").name
    assert selectors == [f"olive-operator.io/job=travel,batch.kubernetes.io/job-name={attempt}"]


def test_a_stage_that_does_not_exist(olive: Olive) -> None:
    objects: Any = namespace(optimizationjobs=[lived(trained())])
    near = olive.asked(objects, "logs", "travel", "quantise")
    assert (near.code, near.err) == (
        3,
        "error: travel has no stage 'quantise'; did you mean quantize?",
    )
    far = olive.asked(objects, "logs", "travel", "xyz")
    assert "there are fetch/model, quantize, export" in far.err


def test_a_log_that_one_may_not_read(olive: Olive) -> None:
    ended = asked(olive, trained(), "quantize", (403, json.dumps({"message": "x cannot get y"})))
    assert ended.code == 4
    assert "you may not get pods/log in namespace ml: ask for the role view there" in ended.err


def test_no_such_job(olive: Olive) -> None:
    assert olive.asked(Objects({at("optimizationjobs"): []}), "logs", "a", "b").code == 3
