"""Where the demo's time goes.

    python bench/demo_time.py [--cold | --down]

Carries the demo out and keeps its steps and stages as bench/results/demo_time-KIND.json. KIND is
``cold`` with --cold: with empty caches, as on a new machine, but for what package registries and
Debian hold anyway; ``warm`` otherwise: with what earlier runs have left. --down takes a cluster
that is up down first, so that bringing it up is measured, too. A table, then JSON in the last line.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from machine import ROOT, keep

DEMO = [sys.executable, str(ROOT / "hack" / "demo")]
CACHES = ("XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE", "UV_CACHE_DIR")


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cold", action="store_true", help="with empty caches")
    parser.add_argument("--down", action="store_true", help="take the cluster down first")
    arguments = parser.parse_args()
    if arguments.cold or arguments.down:
        subprocess.run([*DEMO, "down"], check=True)
    if arguments.cold:
        with TemporaryDirectory(prefix="olive-cold-", ignore_cleanup_errors=True) as folder:
            environment = {**os.environ, **{name: f"{folder}/{name.lower()}" for name in CACHES}}
            found = _demo(environment)
            subprocess.run([*DEMO, "down"], check=True, env=environment)
    else:
        found = _demo(dict(os.environ))
    kind = "cold" if arguments.cold else "warm"
    print(table(found))
    keep(f"demo_time-{kind}", {"caches": kind, **found})
    sys.exit(0 if found["ok"] else 1)


def _demo(environment: dict[str, str]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run([*DEMO, "up", "--json", str(report)], env=environment)
        if not report.exists():
            sys.exit(f"the demo failed (exit code {done.returncode}); there is nothing to measure")
        found: dict[str, Any] = json.loads(report.read_text())
    return found


def table(found: dict[str, Any]) -> str:
    """Steps by their share of the whole, then the stages of the job."""
    whole = found["seconds"]
    rows = [f"{'step':20} {'at s':>7} {'took s':>7} {'share':>6}"]
    for step in found["steps"]:
        share = step["seconds"] / whole
        rows.append(f"{step['name']:20} {step['start']:7.1f} {step['seconds']:7.1f} {share:6.0%}")
    for stage in found["stages"]:
        took = "cached" if stage["cached"] else f"{stage['seconds']:.1f}"
        rows.append(f"  {stage['name']:18} {'':7} {took:>7}")
    return "\n".join([*rows, f"{'all':20} {'':7} {whole:7.1f}"])


if __name__ == "__main__":
    main()
