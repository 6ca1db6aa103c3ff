"""What the type of an int4 model's head, and of its activations, costs in error, speed and bytes.

    python bench/head.py [--model FOLDER|tiny|smollm-135m|smollm-135m-tied] [--json FILE]

Measured by bench/stage/head.py in the stages' environment: of a folder in Olive's int4 format, or
of a model of that shape, made here. A table, then JSON in the last line, kept as
bench/results/head-MODEL.json.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from machine import ROOT, keep

STAGE = ROOT / "images" / "stage"


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm-135m")
    parser.add_argument("--stage-python", default=str(STAGE / ".venv" / "bin" / "python"))
    parser.add_argument("--json", type=Path, help="keep the result here as well")
    arguments = parser.parse_args()
    done = subprocess.run(
        [arguments.stage_python, str(ROOT / "bench" / "stage" / "head.py"), arguments.model],
        env={
            **os.environ,
            "PYTHONPATH": f"{STAGE}:{ROOT / 'operator'}:{os.environ.get('PYTHONPATH', '')}",
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    variants: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    print(table(variants))
    found = {"variants": variants}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    keep(f"head-{Path(arguments.model).name}", found)


def table(variants: list[dict[str, Any]]) -> str:
    lines = ["head   activations    error    tok/s       MB   export s"]
    lines += [
        f"{v['head']:6} {v['activations']:11} {v['error']:7.2%} {v['tokensPerSecond']:8.1f} "
        f"{v['bytes'] / 1e6:8.1f} {v['exportSeconds']:10.1f}"
        for v in variants
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
