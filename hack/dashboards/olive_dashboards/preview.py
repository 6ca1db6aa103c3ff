"""Pictures of the dashboards without a Grafana: a page of our own lays their panels out as their
JSON says, with the answers of a real Prometheus. What Grafana does beyond that, it does not show.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from olive_dashboards.prometheus import Prometheus, serving
from olive_dashboards.targets import Target, filled, targets, variables
from olive_dashboards.written import FOLDER, ROOT

_UPLOT: Final = "uplot@1.6.32"
_LIBRARY: Final = ROOT / ".build/uplot"
_PAGE: Final = Path(__file__).with_name("preview.html")
_WIDTH: Final = 1600
_UNIT: Final = 38
"""Pixels of a row of the grid."""
_POINTS: Final = 300


def draw(recording: Path, to: Path, job: str = "") -> None:
    """A PNG of each dashboard, of all the time that was recorded."""
    library = _library()
    to.mkdir(parents=True, exist_ok=True)
    with serving(recording) as prometheus:
        chosen = variables(prometheus, job)
        for path in sorted(FOLDER.glob("*.json")):
            board = json.loads(path.read_text())
            every = {**chosen, "namespace": ".*"} if path.stem == "platform" else chosen
            shown = [_panel(panel, prometheus, every) for panel in board["panels"]]
            named = {variable["name"] for variable in board["templating"]["list"]}
            page = {
                "title": board["title"],
                "chosen": ", ".join(f"{k} {v}" for k, v in every.items() if k in named),
                "panels": shown,
                "start": prometheus.start,
                "end": prometheus.end,
            }
            rows = max(p["at"].get("y", 0) + p["at"]["h"] for p in shown)
            _photograph(page, library, to / f"dashboard-{path.stem}.png", rows * _UNIT + 60)


def _panel(panel: dict[str, Any], prometheus: Prometheus, chosen: dict[str, str]) -> dict[str, Any]:
    step = max((prometheus.end - prometheus.start) / _POINTS, 1.0)
    field = panel.get("fieldConfig", {}).get("defaults", {})
    return {
        "title": panel["title"],
        "type": panel["type"],
        "at": panel["gridPos"],
        "unit": field.get("unit", ""),
        "stacked": field.get("custom", {}).get("stacking", {}).get("mode") == "normal",
        "states": [m["options"] for m in field.get("mappings", ())],
        "columns": [
            o["matcher"]["options"] for o in panel.get("fieldConfig", {}).get("overrides", ())
        ],
        "units": [
            o["properties"][0]["value"] for o in panel.get("fieldConfig", {}).get("overrides", ())
        ],
        "series": [
            _series(target, found, number)
            for number, target in enumerate(targets(panel))
            for found in _answer(target, prometheus, chosen, step)
        ],
    }


def _answer(
    target: Target, prometheus: Prometheus, chosen: dict[str, str], step: float
) -> list[dict[str, Any]]:
    expr = filled(target.expr, chosen)
    if not target.instant:
        return prometheus.range(expr, step)
    return [{**s, "values": [s["value"]]} for s in prometheus.instant(expr)]


def _series(target: Target, found: dict[str, Any], number: int) -> dict[str, Any]:
    labels = found["metric"]
    name = re.sub(r"{{\s*(\w+)\s*}}", lambda m: labels.get(m[1], ""), target.legend)
    points = [(at, None if value == "NaN" else float(value)) for at, value in found["values"]]
    return {"query": number, "name": name, "labels": labels, "points": points}


def _photograph(page: dict[str, Any], library: Path, to: Path, height: int) -> None:
    text = _PAGE.read_text()
    for name, value in {
        "STYLE": (library / "uPlot.min.css").read_text(),
        "LIBRARY": (library / "uPlot.iife.min.js").read_text(),
        "DATA": json.dumps(page).replace("</", "<\\/"),
    }.items():
        text = text.replace(f"/*{name}*/", value)
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "page.html"
        shown.write_text(text)
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
        where = [f"--user-data-dir={folder}/profile", f"--screenshot={to}"]
        command = ["chromium", *options, *where, f"--window-size={_WIDTH},{height}", shown.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def _library() -> Path:
    """uPlot, from npm."""
    found = _LIBRARY / "node_modules/uplot/dist"
    if not found.exists():
        quiet = ["--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", _LIBRARY, *quiet, _UPLOT], check=True)
    return found
