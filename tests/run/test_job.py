"""A job from its manifest to its last stage, and everything that is not done a second time."""

import shutil
from pathlib import Path

from olive_contract.store import Store
from run.here import Finished, Here, adapter, spec

STAGES = [
    "fetch/model",
    "quantize",
    "export",
    "fetch/travel",
    "finetune/travel",
    "adapter/travel",
    "evaluate/travel",
]


def test_a_whole_job_is_carried_out_and_told(first: tuple[Here, Finished]) -> None:
    here, told = first
    assert told.code == 0, told
    assert [s["name"] for s in told.summary["stages"]] == STAGES
    for stage in told.summary["stages"]:
        artifact = Store(here.store).open(stage["key"])  # whole
        assert stage["metrics"] == artifact.metrics
        assert (stage["state"], stage["cached"], stage["attempts"]) == ("Succeeded", False, 1)
        assert Path(stage["log"]).read_text().rstrip().endswith(f"Succeeded: {stage['key']}")
    assert told.stage("evaluate/travel")["metrics"]["perplexity"] > 1
    assert min(told.summary["whole_s"], told.summary["critical_path_s"]) > 0
    assert "done in" in told.out.splitlines()[-2]
    assert {p.name for p in (here.store / ".building").iterdir()} == set()


def test_a_finished_job_is_run_again_without_any_process(after: Here) -> None:
    before = after.logs()
    told = after.run(spec(), "--json", "--stage-python", "/bin/false")
    assert told.code == 0, told
    assert told.built() == set()
    assert all(s["cached"] for s in told.summary["stages"])
    assert told.stage("evaluate/travel")["metrics"]["perplexity"] > 1
    assert after.logs() == before


def test_a_second_adapter_runs_its_own_stages_and_no_other(after: Here) -> None:
    told = after.run(spec(adapter("travel"), adapter("food")), "--json")
    assert told.code == 0, told
    own = {"fetch/food", "finetune/food", "adapter/food", "evaluate/food"}
    assert told.built() == own


def test_a_changed_line_runs_the_stages_below_it(after: Here) -> None:
    told = after.run(spec(adapter("travel", alpha=4)), "--json")
    assert told.built() == {"finetune/travel", "adapter/travel", "evaluate/travel"}


def test_until_stops_at_a_stage_and_does_what_it_needs(here: Here) -> None:
    told = here.run(spec(), "--until", "quantize", "--json")
    assert told.code == 0, told
    assert [s["name"] for s in told.summary["stages"]] == ["fetch/model", "quantize"]
    assert len(list(here.store.glob("*/artifact.json"))) == 2


def test_until_a_stage_that_is_not_there_names_those_that_are(here: Here) -> None:
    told = here.run(spec(), "--until", "finetune")
    assert told.code == 1
    assert f"there is no stage 'finetune'; there are {', '.join(STAGES)}" in told.err


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(after: Here) -> None:
    before = after.logs()
    told = after.run(spec(adapter("travel", alpha=4), adapter("food")), "--dry-run")
    assert told.code == 0, told
    lines = [line.split() for line in told.out.splitlines()]
    found = {words[0]: " ".join(words[1:4]) for words in lines}
    assert found["fetch/model"].startswith("CPU cached")
    assert found["quantize"].startswith("CPU cached")
    assert found["finetune/travel"] == "CPU to be"
    assert found["fetch/food"] == "CPU to be"
    assert found["finetune/food"] == "CPU key not"
    assert list(found)[:3] == ["fetch/model", "quantize", "export"]
    assert after.logs() == before


def test_a_dry_run_of_the_first_job_leaves_no_folder(here: Here) -> None:
    assert here.run(spec(), "--dry-run").code == 0
    assert not here.store.exists()


def test_a_file_that_has_changed_is_fetched_again(after: Here) -> None:
    claim = after.root / "claim"
    shutil.copytree(after.claim, claim)
    data = claim / "data" / "travel.jsonl"
    moved = Here(after.root, claim)
    same = moved.run(spec(), "--json")
    assert same.built() == {"fetch/model", "fetch/travel"}, "other files, of the same content"
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:80]))
    told = moved.run(spec(), "--json")
    assert told.code == 0, told
    assert told.built() == {"fetch/travel", "finetune/travel", "adapter/travel", "evaluate/travel"}


def test_two_runs_on_one_store_build_everything_once(here: Here) -> None:
    one, other = here.begin(spec(), "--json"), here.begin(spec(), "--json")
    ends = [Finished(p.wait(), *p.communicate()) for p in (one, other)]
    assert [end.code for end in ends] == [0, 0], ends
    assert [s["key"] for s in ends[0].summary["stages"]] == [
        s["key"] for s in ends[1].summary["stages"]
    ]
    for name in STAGES:
        assert [end.stage(name)["cached"] for end in ends].count(False) == 1, name
