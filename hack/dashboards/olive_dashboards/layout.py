"""Putting panels in rows, and rows into a dashboard."""

from collections.abc import Iterable
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.builders.dashboard import Row as RowBuilder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

from olive_dashboards.panels import PanelBuilder
from olive_dashboards.variables import Variable


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[PanelBuilder, ...]


def dashboard(
    uid: str, title: str, about: str, variables: Iterable[Variable], rows: Iterable[Row]
) -> Dashboard:
    """With these rows, from top to bottom; every panel has a number of its own."""
    made = (
        Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["olive-operator"])
        .time("now-6h", "now")
        .refresh("30s")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
    )
    for variable in variables:
        made = made.with_variable(variable)
    for row in rows:
        made = made.with_row(RowBuilder(row.title))
        for panel in row.panels:
            made = made.with_panel(panel)
    for number, placed in enumerate(made.build().panels or (), start=1):
        placed.id_val = number
    return made
