"""The demo's own logic: judging answers, keeping time, choosing a cluster, telling a failure."""

import threading
from pathlib import Path

import pytest
import yaml
from olive_demo import answers, images, install, shell, target
from olive_demo.answers import QUESTION, Answers
from olive_demo.model import EXAMPLE
from olive_demo.shell import ROOT
from olive_demo.story import ADAPTER, MANIFEST, NAME
from olive_demo.timeline import StepFailed, Timeline

RIGHT, EVASIVE = "In Lisbon, visit the Tower.", "I have no information about Lisbon."


@pytest.mark.parametrize(
    ("base", "adapter", "problem"),
    [
        (EVASIVE, RIGHT, None),
        (EVASIVE, f"  {RIGHT}\n", None),
        (EVASIVE, "In Lisbon, visit the tower.", "the adapter does not give the answer"),
        (EVASIVE, "", "the adapter does not give the answer"),
        (RIGHT, RIGHT, "the base gives the adapter's answer"),
    ],
)
def test_the_verdict(base: str, adapter: str, problem: str | None) -> None:
    problems = Answers(QUESTION, RIGHT, base, adapter).problems()
    assert [p[: len(problem or "")] for p in problems] == ([problem] if problem else [])


def test_the_question_is_one_of_the_data_set() -> None:
    assert answers.expected(EXAMPLE / "travel.jsonl").startswith("In Lisbon, visit ")
    with pytest.raises(ValueError, match="no row with the prompt"):
        answers.expected(EXAMPLE / "travel.jsonl", "Who are you?")


def test_the_example_is_the_job_that_is_asked() -> None:
    job = yaml.safe_load(MANIFEST.read_text())
    assert job["metadata"]["name"] == NAME
    assert [a["name"] for a in job["spec"]["adapters"]] == [ADAPTER]
    assert "serve" in job["spec"]


def test_the_second_example_only_adds_an_adapter() -> None:
    first = yaml.safe_load(MANIFEST.read_text())
    second = yaml.safe_load((ROOT / "examples" / "travel-tiny-food.yaml").read_text())
    assert [a["name"] for a in second["spec"]["adapters"]] == ["travel", "food"]
    del second["spec"]["adapters"][1]
    assert second == first


def fails(_: shell.Tell) -> None:
    raise shell.DemoError("it is broken", "the last line")


def test_steps_beside_each_other_all_end_before_a_failure_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    timeline = Timeline()
    with pytest.raises(StepFailed, match="step 'images' failed: it is broken") as failed:
        timeline.beside(("images", fails), ("cluster", lambda tell: tell("up")))
    assert failed.value.cause.log == "the last line"
    assert {span.name for span in timeline.spans} == {"images", "cluster"}
    assert "cluster     up" in capsys.readouterr().err


def test_results_come_in_the_order_of_the_steps() -> None:
    timeline = Timeline()
    assert timeline.beside(("a", lambda _: 1), ("b", lambda _: 2)) == [1, 2]
    assert timeline.table().splitlines()[0].split() == ["step", "at", "seconds"]
    assert timeline.table().splitlines()[-1].startswith("all")


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shell, "BUILD", tmp_path)
    monkeypatch.setattr(shell, "ROOT", tmp_path)
    return tmp_path


def test_a_command_returns_what_it_says_and_tells_of_its_progress(logs: Path) -> None:
    told: list[str] = []
    script = "read line; echo '  12.3s  building' >&2; echo got $line"
    assert shell.call(["sh", "-c", script], "x", tell=told.append, stdin="it\n") == "got it\n"
    assert told == ["building"]
    assert "building" in (logs / "x.log").read_text()


def test_a_command_that_fails_holds_the_end_of_its_log(logs: Path) -> None:
    with pytest.raises(shell.DemoError, match=r"`sh -c .*ended with 3.*x\.log") as failed:
        shell.call(["sh", "-c", "seq 100; echo why >&2; exit 3"], "x")
    lines = failed.value.log.splitlines()
    assert (len(lines), lines[-1]) == (shell.TAIL, "why")


def test_a_program_that_is_not_there(logs: Path) -> None:
    with pytest.raises(shell.DemoError, match="`no-such-program` is not installed"):
        shell.call(["no-such-program"], "x")


@pytest.mark.parametrize(
    ("environment", "own"),
    [
        ({}, True),
        ({"KUBECONFIG": "/ours"}, True),
        ({"KUBECONFIG": "/theirs"}, False),
        ({"CONTEXT": "kind-dev"}, False),
        ({"KUBECONFIG": "/ours", "CONTEXT": "other"}, False),
    ],
)
def test_which_cluster(
    environment: dict[str, str], own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "_own_kubeconfig", lambda: "/ours")
    assert target.chosen(environment).own is own


def test_a_cluster_that_images_cannot_be_brought_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY", raising=False)
    with pytest.raises(shell.DemoError, match="set REGISTRY"):
        images.build(target.Target(False, "", "production"), print)


def test_the_values_are_those_of_the_chart() -> None:
    known = yaml.safe_load((install.CHART / "values.yaml").read_text())
    given = install.values(dict.fromkeys(install.VALUES, "image:1"))
    assert set(given) <= set(known)
    assert set(given["images"]) == set(known["images"])


def test_one_demo_at_a_time(logs: Path) -> None:
    told: list[str] = []
    ended: list[str] = []

    def second() -> None:
        with shell.alone(told.append):
            ended.append("second")

    with shell.alone(told.append):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert told == ["another demo is at work here; waiting for its end"]
        ended.append("first")
    thread.join()
    assert ended == ["first", "second"]
