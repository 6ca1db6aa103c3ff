"""The machine that a result was measured on, and where results are kept."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"


def machine() -> dict[str, Any]:
    """Processor, memory and versions: what a figure depends on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _field("/proc/cpuinfo", "model name"),
        "memoryBytes": int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "system": platform.platform(),
        "python": platform.python_version(),
        "gpu": _said(
            "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"
        ),
        "go": _said("go", "version"),
        "commit": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
    }


def keep(name: str, result: dict[str, Any]) -> None:
    """Write a result, with machine and date, below bench/results, and as one line to stdout."""
    whole = {
        "bench": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        **result,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    print(json.dumps(whole))
    sys.stdout.flush()


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "none"
    return done.stdout.strip() or "none"
