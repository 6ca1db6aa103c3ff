"""Argo CD's scripts and kstatus, on recorded objects of every phase.

``UPDATE_GOLDEN=1 pytest tests/apiserver/test_gitops.py`` records them anew.
"""

import re
from datetime import UTC, datetime

import pytest
import yaml
from programs import ROOT

from olive_cli.commands import change

from . import phases
from .phases import Phase
from .verdicts import judged

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CRD = ROOT / "crds" / "optimizationjobs.olive-operator.io.yaml"
EACH = pytest.mark.parametrize("phase", phases.ALL, ids=lambda p: p.name)


@EACH
def test_readers_say_of_a_phase_what_it_is(phase: Phase) -> None:
    found = judged(phases.recorded(phase))
    assert (found.health, found.kstatus) == (phase.health, phase.kstatus)


@EACH
def test_current_is_said_of_what_is_ready_and_of_nothing_else(phase: Phase) -> None:
    assert phase.ready == (judged(phases.recorded(phase)).kstatus == "Current")


@EACH
def test_actions_are_those_of_the_command_line(phase: Phase) -> None:
    obj = phases.recorded(phase)
    found = judged(obj)
    assert found.offered == phase.offered
    wanted = {
        "retry": change.retry(obj, NOW),
        "suspend": change.suspend(obj),
        "resume": change.resume(obj),
    }
    assert found.offered == {name for name, change in wanted.items() if change.patch}
    for name in found.offered - {"retry"}:
        assert found.patches[name] == wanted[name].patch


@EACH
def test_retry_changes_nothing_but_its_annotation(phase: Phase) -> None:
    sent = judged(phases.recorded(phase)).patches["retry"]
    when = sent["metadata"]["annotations"].pop(change.RETRY)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when)
    assert sent == {"metadata": {"annotations": {}}}


def test_a_phase_of_every_word_is_recorded() -> None:
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    words = schema["properties"]["status"]["properties"]["phase"]["enum"]
    found = {phases.recorded(p).get("status", {}).get("phase") for p in phases.ALL}
    assert found >= set(words)


def test_message_is_the_condition_s() -> None:
    (missed,) = [p for p in phases.ALL if p.name == "gate-missed"]
    message = judged(phases.recorded(missed)).message
    assert message.startswith("GateFailed: evaluate/travel: perplexity is 9, at most 8.5")


def test_nothing_is_recorded_that_no_phase_is_about() -> None:
    assert {path.stem for path in phases.RECORDED.iterdir()} == {p.name for p in phases.ALL}


def test_page_has_every_pair_of_words() -> None:
    page = (ROOT / "docs" / "argocd.md").read_text()
    table = page.partition("## Health\n")[2].partition("\n\n## ")[0]
    rows = [line.split("|")[3:6] for line in table.splitlines() if line.endswith("s |")]
    told = {(health.strip(), kstatus.split()[0], waits.strip()) for health, kstatus, waits in rows}
    assert told == {(p.health, p.kstatus, "ends" if p.ready else "waits") for p in phases.ALL}
