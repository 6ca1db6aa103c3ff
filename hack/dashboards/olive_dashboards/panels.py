"""Panels in the words of a dashboard: a title, what it tells, its unit, its queries."""

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Panel,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = DataSourceRef("prometheus", "${datasource}")
PanelBuilder = Builder[Panel]
Query = tuple[str, str]
"""An expression and the legend of its series."""

STATES: Final = {1: ("Waiting", "#8e8e8e"), 2: ("Pending", "#e0b400"), 3: ("Running", "#3274d9")}
ENDS: Final = {4: ("Succeeded", "#37872d"), 5: ("Failed", "#c4162a")}


def number(title: str, about: str, unit: str, *queries: Query, width: int = 4) -> PanelBuilder:
    """The last value of each series, large; its name beside it where there are several."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(SOURCE)
        .span(width)
        .height(4)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(_last())
        .text_mode(BigValueTextMode.AUTO)
    )
    return panel.targets(_targets(queries, instant=True))


def word(title: str, about: str, query: Query, width: int = 4) -> PanelBuilder:
    """The name of the series, in the place of its value."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(width)
        .height(4)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.NONE)
        .reduce_options(_last())
        .text_mode(BigValueTextMode.NAME)
    )
    return panel.targets(_targets([query], instant=True))


def lines(
    title: str, about: str, unit: str, *queries: Query, width: int = 8, stacked: bool = False
) -> PanelBuilder:
    """Series over time."""
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(SOURCE)
        .span(width)
        .height(8)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .line_width(1)
        .fill_opacity(25 if stacked else 8)
        .show_points(VisibilityMode.AUTO)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return panel.targets(_targets(queries))


def bars(
    title: str, about: str, unit: str, *queries: Query, width: int = 8, height: int = 6
) -> PanelBuilder:
    """The last value of each series as a bar."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .min(0)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .reduce_options(_last())
    )
    return panel.targets(_targets(queries, instant=True))


def states(title: str, about: str, query: Query, width: int = 24) -> PanelBuilder:
    """A lane for each series; its values are those of STATES and ENDS."""
    mapping = ValueMap(
        options={
            str(value): ValueMappingResult(text=text, color=color, index=value)
            for value, (text, color) in {**STATES, **ENDS}.items()
        }
    )
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(width)
        .height(10)
        .mappings([mapping])
        .show_value(VisibilityMode.NEVER)
        .row_height(0.8)
        .merge_values(True)
    )
    return panel.targets(_targets([query]))


def rows(
    title: str,
    about: str,
    columns: Mapping[str, tuple[str, str]],
    labels: Sequence[str],
    width: int = 24,
) -> PanelBuilder:
    """A table: a row for each combination of labels; columns by title: expression and unit."""
    targets: list[Builder[Dataquery]] = [
        _query(expr, "", ref).instant().format(PromQueryFormat.TABLE)
        for ref, (expr, _) in zip("ABCDEFGH", columns.values(), strict=False)
    ]
    values = {f"Value #{ref}": name for ref, name in zip("ABCDEFGH", columns, strict=False)}
    panel = (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(width)
        .height(8)
        .targets(targets)
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {name: at for at, name in enumerate([*labels, *values])},
                    "renameByName": values,
                },
            )
        )
    )
    for name, (_, unit) in columns.items():
        panel = panel.override_by_name(name, [DynamicConfigValue("unit", unit)])
    return panel


def _targets(queries: Sequence[Query], instant: bool = False) -> list[Builder[Dataquery]]:
    found: list[Builder[Dataquery]] = []
    for ref, (expr, legend) in zip("ABCDEFGH", queries, strict=False):
        query = _query(expr, legend, ref)
        found.append(query.instant() if instant else query.range())
    return found


def _query(expr: str, legend: str, ref: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expr).ref_id(ref).datasource(SOURCE)
    return query.legend_format(legend) if legend else query


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
