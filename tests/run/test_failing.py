"""What a person reads when something is wrong, and what is done nevertheless."""

import pytest

from run.here import Here, adapter, free_port, spec


def test_a_failed_stage_stops_what_needs_it_and_nothing_else(here: Here) -> None:
    told = here.run(spec(adapter("travel"), adapter("lost")), "--json")
    assert told.code == 1
    states = {s["name"]: s["state"] for s in told.summary["stages"]}
    assert states["evaluate/travel"] == "Succeeded"
    assert states["fetch/lost"] == "Failed"
    assert states["finetune/lost"] == states["evaluate/lost"] == "Waiting"
    failed = told.stage("fetch/lost")
    assert failed["reason"] == "SourceNotFound"
    assert failed["attempts"] == 1, "what cannot come right by itself is not tried again"
    text = told.out
    assert "fetch/lost: SourceNotFound: pvc://tiny/data/lost.jsonl is not there" in text
    assert "what to do: correct the source in the manifest, and run again" in text
    assert f"its log: {failed['log']}" in text
    assert "not done, as they wait for it: finetune/lost, adapter/lost, evaluate/lost" in text


def test_a_source_that_leads_out_of_its_folder_is_refused(here: Here) -> None:
    claim = here.root / "claim"
    claim.mkdir()
    (claim / "model").symlink_to(here.claim / "model")
    told = Here(here.root, claim).run(spec(), "--until", "fetch/model", "--json")
    assert told.code == 1
    assert "InvalidInput: pvc://tiny/model leads out of the claim" in told.out


def test_a_stage_that_cannot_even_start_shows_its_log(here: Here) -> None:
    told = here.run(spec(), "--until", "fetch/model", "--stage-python", "/bin/false")
    assert told.code == 1
    assert "fetch/model: StageError: exit code 1" in told.out
    assert "read its log, and run again" in told.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--claim", "other=/tmp"], "fetch/model reads from claim lost; give --claim lost=FOLDER"),
        (["--claim", "lost=/nowhere"], "--claim lost: /nowhere is no folder"),
        (
            ["--stage-python", "/nowhere/python"],
            "/nowhere/python cannot be run; name a Python that has olive_stage",
        ),
        (["--secret", "hf=NOWHERE"], "--secret hf: there is neither an environment variable nor"),
    ],
    ids=["claim not given", "claim no folder", "no python", "no secret"],
)
def test_what_is_missing_is_told_before_any_stage(
    here: Here, arguments: list[str], says: str
) -> None:
    told = here.run(spec(model={"source": "pvc://lost/model"}), *arguments)
    assert told.code == 1
    assert says in told.err
    assert here.logs() == set()


def test_a_gate_that_is_missed_fails_the_run_and_runs_nothing_when_loosened(after: Here) -> None:
    strict = {"reference": False, "samples": 4, "gates": [{"metric": "perplexity", "max": 1}]}
    told = after.run(spec(evaluate=strict), "--json", "--serve", str(free_port()))
    assert told.code == 1, "and it has not served, or it would not have ended"
    assert told.stage("evaluate/travel")["reason"] == "GateFailed"
    assert "evaluate/travel: GateFailed: perplexity is" in told.out
    loose = {**strict, "gates": [{"metric": "perplexity", "max": "100k"}]}
    told = after.run(spec(evaluate=loose), "--json")
    assert (told.code, told.built()) == (0, set()), told
