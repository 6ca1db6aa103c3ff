"""``python hack/dashboards``: the dashboards and the page of metrics from the code, and more."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / part) for part in ("operator", "images/serve", "hack/dashboards")]

from olive_dashboards.cli import main  # noqa: E402

main()
