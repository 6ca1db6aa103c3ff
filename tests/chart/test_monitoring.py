"""What the chart brings for Prometheus, Grafana and traces, where the values ask for it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from programs import ROOT

from olive_operator import config, labels
from olive_operator.build.deployment import HEALTH_PORT

from .helm import CHART, Helm, Manifest, of_kind

ALL = ",".join(
    f"metrics.{what}.enabled=true" for what in ("serviceMonitor", "podMonitor", "prometheusRule")
)
SERVING = ROOT / "tests" / "golden" / "children" / "deployment.yaml"
DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def asked_for(helm: Helm) -> list[Manifest]:
    """Everything, in a cluster whose operator looks after two namespaces."""
    more = "metrics.dashboards.enabled=true,namespaces={team-a,team-b}"
    return helm.manifests("--set", f"{ALL},{more}")


def test_nothing_of_it_is_there_unless_it_is_asked_for(helm: Helm) -> None:
    kinds = {manifest["kind"] for manifest in helm.manifests()}
    assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert [m for m in helm.manifests() if "dashboard" in m["metadata"]["name"]] == []


def test_rules_are_those_that_promtool_has_tested(asked_for: list[Manifest]) -> None:
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    assert of_kind(asked_for, "PrometheusRule")["spec"] == rules


def test_alerts_link_to_where_people_read_on(helm: Helm) -> None:
    page = "https://docs.example.com/troubleshooting/"
    how = f"{ALL},metrics.prometheusRule.runbookURL={page}"
    rules = of_kind(helm.manifests("--set", how), "PrometheusRule")["spec"]
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    links = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts}
    assert links == {alert: f"{page}#{alert.lower()}" for alert in links}


def test_dashboards_are_whole_and_found_by_the_sidecar(asked_for: list[Manifest]) -> None:
    found = [m for m in asked_for if m["metadata"]["labels"].get("grafana_dashboard") == "1"]
    texts = {name: text for manifest in found for name, text in manifest["data"].items()}
    assert texts.keys() == {f"olive-{path.name}" for path in DASHBOARDS}
    for path in DASHBOARDS:
        assert json.loads(texts[f"olive-{path.name}"]) == json.loads(path.read_text())


def test_servings_are_found_where_the_operator_looks(asked_for: list[Manifest], helm: Helm) -> None:
    spec = of_kind(asked_for, "PodMonitor")["spec"]
    assert spec["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}
    everywhere = of_kind(helm.manifests("--set", ALL), "PodMonitor")["spec"]
    assert everywhere["namespaceSelector"] == {"any": True}


def test_servings_are_those_that_the_operator_makes(asked_for: list[Manifest]) -> None:
    spec = of_kind(asked_for, "PodMonitor")["spec"]
    pod = yaml.safe_load(SERVING.read_text())["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    [endpoint] = spec["podMetricsEndpoints"]
    assert ports[endpoint["port"]] == HEALTH_PORT
    assert labels.JOB in pod["metadata"]["labels"]
    source = "__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", labels.JOB)
    assert endpoint["relabelings"] == [{"sourceLabels": [source], "targetLabel": "job_name"}]


def test_namespace_of_a_series_stays_the_jobs(asked_for: list[Manifest]) -> None:
    [endpoint] = of_kind(asked_for, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True


def test_the_operator_is_told_how_many_jobs_and_where_traces_go(helm: Helm, tmp_path: Path) -> None:
    url = "http://collector.monitoring:4318"
    manifests = helm.manifests("--set", f"metrics.jobs=7,tracing.endpoint={url}")
    path = tmp_path / "config.yaml"
    path.write_text(of_kind(manifests, "ConfigMap")["data"]["config.yaml"])
    loaded = config.load(path)
    assert loaded.metrics == config.Metrics(7)
    assert loaded.tracing == config.Tracing(url)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("metrics.jobs=-1", "at '/metrics/jobs': minimum: got -1, want 0"),
        ("tracing.endpoint=collector:4318", "at '/tracing/endpoint': 'collector:4318' does not"),
        ("metrics.podMonitor.interval=15", "at '/metrics/podMonitor/interval': got number"),
    ],
)
def test_helm_refuses(helm: Helm, given: str, message: str) -> None:
    assert message in helm.refusal("--set", given)
