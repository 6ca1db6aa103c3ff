"""Pages that are made of the sources are up to date, and those by hand name all that there is."""

import re

import pytest
import yaml
from olive_docs import reference, rights, screens
from programs import ROOT

from olive_contract.failures import FailureClass
from olive_operator.plan.pods import STALLED

from .blocks import Command, languages, steps

DOCS = ROOT / "docs"
RULES = ROOT / "charts" / "olive-operator" / "files" / "rules.yaml"


@pytest.mark.parametrize("name", reference.CRDS)
def test_the_reference_is_that_of_the_definition(name: str) -> None:
    found = (reference.FOLDER / name).read_text()
    assert found == reference.page(reference.CRDS[name]), "python hack/docs reference"


def test_the_reference_has_all_that_holds_for_a_field() -> None:
    found = (reference.FOLDER / "optimizationjob.md").read_text()
    row = re.search(r"^\| `calibration\.samples`.*$", found, re.M)
    assert row
    assert "| integer | `128` | at least 1; at most 4096 |" in row[0]


def test_the_rights_are_those_that_the_chart_gives() -> None:
    page = rights.PAGE.read_text()
    assert rights.replaced(page) == page, "python hack/docs rights"
    assert "`optimizationjobs/status` | update |" in page


@pytest.mark.parametrize("name", screens.screens())
def test_the_screens_are_what_kubectl_olive_draws(name: str) -> None:
    drawn = screens.screens()[name]
    assert (screens.PICTURES / name).read_text() == drawn, "python hack/docs screens"
    assert "finetune/travel" in drawn.replace("&#160;", " ")


def headings(page: str) -> set[str]:
    return set(re.findall(r"^### (\S+)$", (DOCS / page).read_text(), re.M))


def test_every_failure_and_every_reason_to_be_stalled_has_a_heading() -> None:
    assert {f.value for f in FailureClass} | STALLED <= headings("troubleshooting.md")


def test_every_alert_has_a_heading() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts
    assert alerts == {name for name in headings("troubleshooting.md") if name.startswith("Olive")}


def test_the_tutorial_shows_no_command_that_is_not_typed_by_its_test() -> None:
    """tests/e2e/test_tutorial.py types what is `console` or `bash`, and saves files."""
    page = (DOCS / "tutorial.md").read_text()
    assert languages(page) == {"a file", "bash", "console", "text"}
    typed = [step.text for step in steps(page) if isinstance(step, Command)]
    assert typed[0] == "make demo"
    assert len(typed) > 20
