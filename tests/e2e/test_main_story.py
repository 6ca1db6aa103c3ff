"""The main job on a real node: made, extended, shared, disturbed, and taken away.

The stories build on each other in the order in which they stand here.
"""

import os
import signal
from typing import Any

from .cluster import Cluster, adapter, eventually, job

QUESTION = [{"role": "user", "content": "I have one day in Lisbon."}]
PLAIN = {"fetch/model", "fetch/travel", "quantize", "export", "finetune/travel"}
ALL = PLAIN | {"adapter/travel", "reference/travel", "evaluate/travel"}


ASK_FOR_EVER = """
import json, sys, urllib.request
body = {"model": "travel", "prompt": "I have one day in Lisbon.", "max_tokens": 8}
for number in range(10**6):
    request = urllib.request.Request(
        sys.argv[1] + "/v1/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            json.load(answer)["choices"][0]["text"]
        print("answer", number)
    except Exception as error:
        print("FAILED", number, error)
"""
"""Each request on a connection of its own, without a second try."""


def answer(cluster: Cluster, name: str, model: str) -> str:
    """What a served model says to the question, with greedy decoding."""
    with cluster.served(name) as api:
        found = api.chat.completions.create(
            model=model,
            messages=QUESTION,  # type: ignore[arg-type]
            max_tokens=64,
            temperature=0,
        )
        return str(found.choices[0].message.content)


def test_demo_answers_as_it_was_trained(demo: dict[str, Any]) -> None:
    assert demo["ok"]
    assert demo["answers"]["adapter"] != demo["answers"]["base"]


def test_job_waits_for_its_gpu_with_a_sentence_and_then_runs_every_stage_once(
    cluster: Cluster, store: str, other_gpu: None
) -> None:
    gpu = {"count": 1, "products": ["NVIDIA-A10"]}
    cluster.create("travel", job(store, adapter("travel"), gpu=gpu))

    def message() -> str:
        return str(cluster.stage("travel", "finetune/travel").get("message", ""))

    says = "no node offers nvidia.com/gpu with product NVIDIA-A10"
    eventually("the sentence", lambda: says in message(), 200)
    assert cluster.condition("travel", "Stalled")["status"] == "False"
    cluster.advertise_gpus(1, "NVIDIA-A10")
    percents = set()

    def trained() -> bool:
        stage = cluster.stage("travel", "finetune/travel")
        if stage.get("state") == "Running" and "loss" in stage:
            percents.add(stage["percent"])
        return bool(stage.get("state") == "Succeeded")

    eventually("the training", trained, 200)
    assert len(percents) > 1, "progress reaches the status while the stage runs"
    status = cluster.await_ready("travel")
    stage = {s["name"]: s for s in status["stages"]}
    on_gpu = ALL | {"check/travel"}
    assert set(stage) == on_gpu
    assert sorted(cluster.attempts("travel")) == sorted(on_gpu), "every stage ran once"
    assert stage["finetune/travel"]["gpuSeconds"] > 0
    assert status["gpuSeconds"] == stage["finetune/travel"]["gpuSeconds"]
    assert stage["evaluate/travel"]["metrics"]["exactMatch"] > 0.9
    assert {a["stage"] for a in cluster.artifacts(store)} == on_gpu


def test_served_adapter_has_learnt_what_the_base_does_not_know(cluster: Cluster) -> None:
    with cluster.served("travel") as api:
        assert [m.id for m in api.models.list().data] == ["base", "travel"]
    base, travel = (answer(cluster, "travel", model) for model in ("base", "travel"))
    assert "no information" in base
    assert "Lisbon" in travel
    assert travel != base


def test_second_adapter_runs_only_its_own_stages_and_restarts_no_pod(
    cluster: Cluster, store: str
) -> None:
    before = cluster.serving_pods("travel")
    gpu = {"count": 0}
    cluster.edit("travel", job(store, adapter("travel"), adapter("food"), gpu=gpu))
    eventually("food in the graph", lambda: cluster.stage("travel", "finetune/food"))
    status = cluster.await_ready("travel")
    own = {f"{kind}/food" for kind in ("fetch", "finetune", "adapter", "reference", "evaluate")}
    assert sorted(cluster.attempts("travel")) == sorted(ALL | own)
    assert {a["state"] for a in status["serving"]["adapters"]} == {"Loaded"}
    assert cluster.serving_pods("travel") == before, "the same pod, not restarted"
    answers = {model: answer(cluster, "travel", model) for model in ("base", "travel", "food")}
    assert len(set(answers.values())) == 3, answers


def test_new_pods_take_over_without_a_request_that_fails(cluster: Cluster, store: str) -> None:
    before = cluster.serving_pods("travel").keys()
    with cluster.asking("travel", ASK_FOR_EVER) as said:
        eventually("answers", lambda: "answer 20" in said())
        serve = {"resources": {"requests": {"cpu": "110m", "memory": "512Mi"}}}
        both = adapter("travel"), adapter("food")
        cluster.edit("travel", job(store, *both, gpu={"count": 0}, serve=serve))
        eventually("new pods alone", lambda: not before & cluster.serving_pods("travel").keys())
        answered = said().count("answer")
        eventually("answers of the new pods", lambda: said().count("answer") > answered + 20)
        assert "FAILED" not in said(), said()


def test_second_job_with_the_same_base_pays_nothing_for_it(cluster: Cluster, store: str) -> None:
    cluster.create("other", job(store, adapter("travel", seed=7), serve=None))
    status = cluster.await_ready("other")
    assert "quantize" not in cluster.attempts("other")
    assert "export" not in cluster.attempts("other")
    cached = {s["name"] for s in status["stages"] if s.get("cached")}
    assert {"fetch/model", "fetch/travel", "quantize", "export"} <= cached


def test_pod_of_a_running_stage_that_is_deleted_is_done_again_once(
    cluster: Cluster, store: str
) -> None:
    cluster.create("deleted", job(store, adapter("travel", seed=11), serve=None))
    name = _running(cluster, "deleted", "finetune/travel")
    cluster.delete_pod(name)
    status = cluster.await_ready("deleted")
    stage = next(s for s in status["stages"] if s["name"] == "finetune/travel")
    assert (stage["attempt"], stage.get("failures", 0)) == (2, 0)
    assert "told to stop" in stage["lastFailure"]
    others = [s.get("attempt", 1) for s in status["stages"] if s is not stage]
    assert set(others) == {1}


def test_operator_that_is_killed_goes_on_and_runs_no_stage_twice(
    cluster: Cluster, store: str
) -> None:
    cluster.create("killed", job(store, adapter("travel", seed=13), serve=None))
    _running(cluster, "killed", "finetune/travel")
    leader = cluster.leading_pid()
    os.kill(leader, signal.SIGKILL)
    eventually("another process that leads", lambda: cluster.leading_pid() not in (0, leader))
    status = cluster.await_ready("killed")
    attempts = cluster.attempts("killed")
    assert len(attempts) == len(set(attempts))
    assert {s.get("attempt", 1) for s in status["stages"]} == {1}


def test_deleting_a_job_takes_its_children_and_nothing_else(cluster: Cluster, store: str) -> None:
    before = len(cluster.artifacts(store))
    cluster.delete("travel")
    eventually("no attempts left", lambda: not cluster.attempts("travel"))
    eventually("no serving left", lambda: not cluster.serving_pods("travel"))
    assert cluster.attempts("other") != []
    assert len(cluster.artifacts(store)) == before
    cluster.create("travel", job(store, adapter("travel")))
    cluster.await_ready("travel")
    assert set(cluster.attempts("travel")) == {"fetch/model", "fetch/travel"}
    cluster.delete("travel")


def _running(cluster: Cluster, name: str, stage: str) -> str:
    """The pod of a stage, once it has come some way."""

    def found() -> dict[str, Any] | None:
        now = cluster.stage(name, stage)
        return now if now.get("state") == "Running" and now.get("percent", 0) >= 10 else None

    return str((eventually(f"{stage} on its way", found, 200) or {})["pod"])
