"""The files that are generated, each with its text."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from olive_dashboards import reference
from olive_dashboards.job import job
from olive_dashboards.platform import platform

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDER: Final = ROOT / "charts/olive-operator/files/dashboards"
DASHBOARDS: Final = {"platform": platform, "job": job}


def files() -> dict[Path, str]:
    """Everything, as it is to be."""
    boards = {FOLDER / f"{name}.json": text(made()) for name, made in DASHBOARDS.items()}
    return {**boards, ROOT / "docs/metrics.md": reference.page()}


def write() -> None:
    """Write what is not so yet."""
    for path, wanted in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted)


def text(made: Dashboard) -> str:
    """As Grafana imports it."""
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
