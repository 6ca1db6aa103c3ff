"""What people choose at the top of a dashboard."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from olive_dashboards.panels import SOURCE

PRICE: Final = "gpu_hour_price"
Variable = Builder[VariableModel]


def source() -> Variable:
    """Which Prometheus."""
    return DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def price() -> Variable:
    """What an hour of a GPU costs; nothing else here knows."""
    one = VariableOption(text="1", value="1")
    return TextBoxVariable(PRICE).label("Price of a GPU hour").default_value("1").current(one)


def teams() -> Variable:
    """Namespaces, any number of them."""
    every = VariableOption(text="All", value="$__all")
    chosen = _of("namespace", "Team (namespace)", "label_values(olive_jobs, namespace)")
    return chosen.multi(True).include_all(True).all_value(".*").current(every)


def team() -> Variable:
    """The namespace of the job."""
    return _of("namespace", "Team (namespace)", "label_values(olive_job_info, namespace)")


def job() -> Variable:
    """The job: one that has series of its own."""
    jobs = 'label_values(olive_job_info{namespace="$namespace"}, job_name)'
    return _of("job_name", "Job", jobs)


def _of(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
