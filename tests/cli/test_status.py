"""One look at a job, and at all of a namespace."""

import json
from typing import Any

import pytest
from builders import World, adapter

from olive_contract.failures import FailureClass
from olive_contract.stage import Progress

from .api import Objects, Olive, at, namespace
from .files import hold
from .jobs import lived

TWO: dict[str, Any] = {
    "quantize": {
        "algorithm": "awq",
        "calibration": {"source": "pvc://data/c.jsonl", "template": "{text}"},
    },
    "adapters": [adapter("travel"), adapter("food")],
}


def at_work() -> World:
    """Two adapters on a quantized model: the first trains, the second's data cannot be read."""
    world = World(**TWO).settle()
    world.finish("fetch/model", "fetch/calibration", "fetch/travel", seconds=42)
    world.finish("check/quantize", "check/travel", seconds=20)
    world.finish("quantize", seconds=95)
    world.run("export")
    world.run("finetune/travel").says("finetune/travel", Progress(60, 48, 0.8123))
    why = "row 3 has no column prompt"
    return world.fail("fetch/food", FailureClass.INVALID_INPUT, message=why)


def test_the_graph_of_a_job_at_work(olive: Olive) -> None:
    body = lived(at_work(), **TWO)
    shown = olive.asked(namespace(optimizationjobs=[body]), "status", "travel")
    assert shown.code == 0
    hold("status.txt", shown.out)


def test_on_a_narrow_terminal(olive: Olive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    body = lived(at_work(), **TWO)
    shown = olive.asked(namespace(optimizationjobs=[body]), "status", "travel")
    hold("status-narrow.txt", shown.out)


def test_a_job_that_is_published_and_measured(olive: Olive) -> None:
    """The widest graph: everything comes together before what is published."""
    sections = {**TWO, "publish": {"oci": {"reference": "registry.example/team/travel:1"}}}
    body = lived(World(**sections).settle(), **sections)
    shown = olive.asked(namespace(optimizationjobs=[body]), "status", "travel")
    hold("status-publish.txt", shown.out)


def test_a_job_with_a_spec_and_a_status_of_a_newer_operator(olive: Olive) -> None:
    """What is not known is left out: the stages are told, without their graph."""
    body = lived(World().settle(), distill={"from": "hf://a/b"})
    body["status"]["weather"] = "fair"
    body["status"]["stages"][0] |= {"state": "Dreaming", "mood": "calm"}
    shown = olive.asked(namespace(optimizationjobs=[body]), "status", "travel")
    assert shown.code == 0
    assert "fetch/model" in shown.out
    assert "Dreaming" in shown.out
    assert "─ " not in shown.out


def jobs() -> list[dict[str, Any]]:
    done = World(serve=None).settle()
    for stages in (["fetch/model", "fetch/travel"], ["quantize", "check/travel"], ["export"]):
        done.finish(*stages)
    for stage in ("finetune/travel", "adapter/travel", "reference/travel", "evaluate/travel"):
        done.finish(stage, seconds=100)
    new = lived(World(), name="another")
    new["status"] = {}
    return [lived(at_work(), **TWO), lived(done, name="city", serve=None), new]


def test_the_jobs_of_a_namespace(olive: Olive) -> None:
    shown = olive.asked(namespace(optimizationjobs=jobs()), "status")
    assert shown.code == 0
    hold("status-jobs.txt", shown.out)


def test_the_jobs_of_all_namespaces(olive: Olive) -> None:
    here, there = lived(at_work(), **TWO), lived(World().settle())
    there["metadata"]["namespace"] = "vision"
    path = "/apis/olive-operator.io/v1alpha1/optimizationjobs"
    shown = olive.asked(Objects({path: [there, here]}), "status", "-A")
    hold("status-everywhere.txt", shown.out)


def test_a_namespace_without_jobs(olive: Olive) -> None:
    shown = olive.asked(namespace(), "status")
    assert (shown.code, shown.out) == (0, "namespace ml has no OptimizationJobs")


def test_a_list_that_comes_in_pages(olive: Olive) -> None:
    first, second, _ = jobs()
    whole = at("optimizationjobs")

    def pages(asked: Any) -> tuple[int, str, str]:
        assert asked.path == whole
        last = asked.query.get("continue") == "more"
        meta = {} if last else {"continue": "more"}
        page = {"metadata": meta, "items": [second if last else first]}
        return 200, "application/json", json.dumps(page)

    shown = olive.asked(pages, "status")  # type: ignore[arg-type]
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["city", "travel"]


def test_no_such_job_but_others_that_are_near(olive: Olive) -> None:
    shown = olive.asked(namespace(optimizationjobs=jobs()), "status", "travle")
    assert (shown.code, shown.out) == (3, "")
    assert shown.err == "error: optimizationjob ml/travle: no such job; did you mean travel?"


def test_no_such_job_and_none_that_is_near(olive: Olive) -> None:
    shown = olive.asked(namespace(optimizationjobs=jobs()), "status", "xyz")
    assert shown.code == 3
    assert shown.err.endswith("no such job; `kubectl olive status` has all")


def test_a_name_is_of_one_namespace(olive: Olive) -> None:
    shown = olive.asked(namespace(optimizationjobs=jobs()), "status", "travel", "-A")
    assert (shown.code, "give NAME with -n, or -A alone" in shown.err) == (2, True)


@pytest.mark.parametrize("argv", [("status", "travel", "--watch"), ("watch", "travel")])
def test_it_is_followed_as_watch_does(olive: Olive, argv: tuple[str, ...]) -> None:
    body = lived(at_work(), **TWO)
    stalled = {"type": "Stalled", "status": "True", "reason": "StageFailed", "message": "no column"}
    body["status"]["conditions"] = [
        {
            **stalled,
            "observedGeneration": body["metadata"]["generation"],
            "lastTransitionTime": None,
        }
    ]
    followed = olive.asked(namespace(optimizationjobs=[body]), *argv)
    assert (followed.code, "no column" in followed.out) == (1, True)


@pytest.mark.parametrize("which", [[], ["travel", "-A"]], ids=["all", "everywhere"])
def test_only_one_job_is_followed(olive: Olive, which: list[str]) -> None:
    shown = olive.asked(namespace(optimizationjobs=jobs()), "status", "--watch", *which)
    assert (shown.code, "give its NAME" in shown.err) == (2, True)


def test_a_clock_that_is_behind_the_operators(olive: Olive) -> None:
    body = lived(at_work(), **TWO)
    body["status"]["startedAt"] = "2026-11-20T13:00:09Z"
    shown = olive.asked(namespace(optimizationjobs=[body]), "status", "travel")
    assert "6/17 stages   00:00   " in shown.out


def test_a_list_that_expires_while_it_is_read_is_asked_for_at_once(olive: Olive) -> None:
    first, second, _ = jobs()
    limits: list[str | None] = []

    def pages(asked: Any) -> tuple[int, str, str]:
        limits.append(asked.query.get("limit"))
        if "continue" in asked.query:
            return 410, "application/json", json.dumps({"kind": "Status", "reason": "Expired"})
        whole = limits[-1] is None
        page = {"metadata": {} if whole else {"continue": "more"}, "items": [first]}
        return (
            200,
            "application/json",
            json.dumps(page | ({"items": [first, second]} if whole else {})),
        )

    shown = olive.asked(pages, "status")  # type: ignore[arg-type]
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["city", "travel"]
    assert limits == ["500", "500", None]
