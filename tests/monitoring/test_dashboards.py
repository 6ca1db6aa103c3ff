"""Every query of every panel is taken by a real Prometheus, and finds something in a real run."""

import json
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from olive_dashboards.prometheus import Prometheus
from olive_dashboards.targets import Target, filled, targets, variables
from olive_dashboards.written import FOLDER, files

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
QUERIES = {
    f"{board}: {target.panel}, {target.ref}": target
    for board, body in BOARDS.items()
    for panel in body["panels"]
    for target in targets(panel)
}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_is_written_is_what_the_code_says(path: Path) -> None:
    assert path.read_text() == files()[path], "run `python hack/dashboards write`"


def test_there_are_two() -> None:
    assert set(BOARDS) == {"platform", "job"}


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_model_reads_what_it_has_written(name: str) -> None:
    read = Dashboard.from_json(BOARDS[name])
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == BOARDS[name]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_numbers_and_places_of_their_own(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [cell for panel in panels for cell in _cells(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


def _cells(at: dict[str, int]) -> list[tuple[int, int]]:
    x, y = at.get("x", 0), at.get("y", 0)
    return [(x + right, y + down) for right in range(at["w"]) for down in range(at["h"])]


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_is_one_that_people_can_choose(name: str) -> None:
    chosen = {variable["name"] for variable in BOARDS[name]["templating"]["list"]}
    known = {"__range": "5m", "__rate_interval": "1m", **dict.fromkeys(chosen, "x")}
    for panel in BOARDS[name]["panels"]:
        for target in targets(panel):
            assert "$" not in filled(target.expr, known), target


@pytest.mark.parametrize("name", QUERIES)
def test_query_finds_something(prometheus: Prometheus, name: str) -> None:
    found = _answer(prometheus, QUERIES[name])
    assert found, "nothing is found"
    numbers = [value for series in found for _, value in series["values"]]
    assert any(value != "NaN" for value in numbers), found


def _answer(prometheus: Prometheus, target: Target) -> list[dict[str, Any]]:
    """Over time, as a panel's time may end anywhere."""
    return prometheus.range(filled(target.expr, variables(prometheus)), 5)
