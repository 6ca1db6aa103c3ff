"""Rules: promtool's own tests, which have to try each alert both ways, and a real run."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from olive_dashboards.prometheus import Prometheus
from programs import ROOT

RULES = ROOT / "charts/olive-operator/files/rules.yaml"
TESTS = Path(__file__).with_name("rules.test.yaml")


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """By name; ``kind``: alert or record."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


def cases(alert: str) -> list[list[Any]]:
    """What promtool's tests expect of an alert, each time that they look."""
    return [
        look["exp_alerts"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for look in test.get("alert_rule_test", ())
        if look["alertname"] == alert
    ]


def test_promtools_tests_pass(promtool: str) -> None:
    done = subprocess.run([promtool, "test", "rules", TESTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", rules("alert"))
def test_each_alert_is_tried_where_it_fires_and_where_it_does_not(alert: str) -> None:
    assert {bool(fires) for fires in cases(alert)} == {True, False}


@pytest.mark.parametrize("alert", rules("alert"))
def test_each_alert_says_what_to_do_and_where_to_read_on(alert: str) -> None:
    notes = rules("alert")[alert]["annotations"]
    page, _, anchor = notes["runbook_url"].partition("#")
    assert anchor == alert.lower()
    assert f"### {alert}\n" in (ROOT / page).read_text()
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")


@pytest.mark.parametrize("name", rules("record"))
def test_each_recording_rule_finds_something_in_a_run(prometheus: Prometheus, name: str) -> None:
    found = prometheus.range(rules("record")[name]["expr"], 5)
    assert any(value != "NaN" for series in found for _, value in series["values"])


@pytest.mark.parametrize("alert", rules("alert"))
def test_each_alert_is_silent_in_a_run_that_goes_well(prometheus: Prometheus, alert: str) -> None:
    """What it recorded first is put in the place of its name."""
    recorded = rules("record")
    expr = rules("alert")[alert]["expr"]
    for name, rule in recorded.items():
        expr = re.sub(rf"{name}(\{{[^}}]*\}})?", rf"({rule['expr']})", expr)
    assert prometheus.instant(expr) == []
