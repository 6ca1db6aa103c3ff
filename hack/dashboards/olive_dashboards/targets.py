"""The queries of a dashboard's panels, with its variables filled in as Grafana would."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from olive_dashboards.prometheus import Prometheus


@dataclass(frozen=True)
class Target:
    """One query of one panel."""

    panel: str
    ref: str
    expr: str
    legend: str
    instant: bool


def targets(panel: Mapping[str, Any]) -> Iterator[Target]:
    """Those of a panel in a dashboard's JSON."""
    for body in panel.get("targets") or ():
        legend = body.get("legendFormat", "")
        at_once = bool(body.get("instant"))
        yield Target(panel["title"], body["refId"], body["expr"], legend, at_once)


def filled(expr: str, variables: Mapping[str, str]) -> str:
    """The expression with values for its variables; the longest names first."""
    for name in sorted(variables, key=len, reverse=True):
        expr = expr.replace(f"${name}", variables[name])
    return expr


def variables(prometheus: Prometheus, job: str = "") -> dict[str, str]:
    """Of all teams, and of one job: the named one, or the first whose training told a loss."""
    span = f"{round(prometheus.end - prometheus.start)}s"
    told = f"present_over_time(olive_job_stage_loss[{span}])"
    known = prometheus.instant(f"group by (namespace, job_name) ({told})")
    names = sorted(f"{s['metric']['namespace']}/{s['metric']['job_name']}" for s in known)
    namespace, _, name = (job or names[0]).partition("/")
    return {
        "__range": span,
        "__rate_interval": "30s",
        "gpu_hour_price": "2.5",
        "namespace": namespace,
        "job_name": name,
    }
