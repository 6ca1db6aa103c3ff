"""What each stage costs, and the whole job, by ``olive-operator run`` on this machine.

    python bench/stages.py [--shape tiny|phi-3.5-mini] [--olive] [--one-process] [--no-keep]

The job quantizes by AWQ (128 rows of 512 tokens), trains a LoRA of rank 64 (100 steps of 8 x 512
tokens), exports and converts; a second adapter follows. Where ``nvidia-smi`` answers it is done at
Phi-3.5-mini's shape on one GPU, elsewhere with the tiny model on the CPU. ``--olive`` does the same
work by Olive's own commands, one after the other as in the lab. A table, then JSON in the last
line, kept as bench/results/stages-SHAPE.json.

``whole_s`` runs from the command to its end with the model fetched already; ``critical_path_s`` is
quantize + the longer of finetune and export + adapter, each as the run measured it.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from gpu_sampler import Sampler, has_gpu
from machine import ROOT, keep

TEMPLATE = "<|user|>\n{prompt}<|end|>\n<|assistant|>\n{response}<|end|>"
TOKENS = {"tiny": 96, "phi-3.5-mini": 512}
RANK = {"tiny": 8, "phi-3.5-mini": 64}
GROUP = {"tiny": 32, "phi-3.5-mini": 128}
STAGE_PYTHON = ROOT / "images" / "stage" / ".venv" / "bin" / "python"


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(TOKENS))
    parser.add_argument("--folder", type=Path, help="where model, data and store are kept")
    parser.add_argument("--stage-python", default=str(STAGE_PYTHON), help="of the stages")
    parser.add_argument("--olive", action="store_true", help="Olive's own commands as well")
    parser.add_argument("--no-keep", action="store_true", help="leave bench/results as it is")
    parser.add_argument("--one-process", action="store_true", help="three adapters in one, too")
    arguments = parser.parse_args()
    shape = arguments.shape or ("phi-3.5-mini" if has_gpu() else "tiny")
    with TemporaryDirectory(prefix="olive-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        bench = Bench(shape, folder, arguments.stage_python)
        found = bench.measure()
        found["logits_error"] = bench.logits_error(found)
        if arguments.one_process:
            found |= bench.one_process(found)
        if arguments.olive:
            found |= bench.olive()
    print(table(found))
    found = {"bench": "stages", **found}
    if arguments.no_keep:
        print(json.dumps(found))
    else:
        keep(f"stages-{shape}", found)


class Bench:
    """A folder with the model, the data and the store of one measurement."""

    def __init__(self, shape: str, folder: Path, stage_python: str) -> None:
        self.shape, self.folder, self.python = shape, folder, stage_python
        self.claim = folder / "claim"
        if not self.claim.exists():
            self.stage_code("models.py", shape, str(self.claim))

    def measure(self) -> dict[str, Any]:
        """The job, then the same job with a second adapter; every figure by its name."""
        fetched = self.run("first", until="fetch/model")
        with Sampler() as gpu:
            first = self.run("first")
            second = self.run("first", "second")
        stages = {s["name"]: s for s in first["stages"]}
        took = {name: s["seconds"] for name, s in stages.items()}
        later = {s["name"]: s["seconds"] for s in second["stages"] if not s["cached"]}
        path = took["quantize"] + max(took["finetune/first"], took["export"])
        path += took["adapter/first"]
        busy = {
            name: gpu.busy(unix(s["startedAt"]), unix(s["finishedAt"]))
            for name, s in stages.items()
            if name in ("quantize", "finetune/first")
        }
        return {
            "device": device(),
            "shape": self.shape,
            "fetch_model_s": seconds_of(fetched, "fetch/model"),
            "quantize_s": took["quantize"],
            "finetune_s": took["finetune/first"],
            "export_s": took["export"],
            "adapter_s": took["adapter/first"],
            "critical_path_s": round(path, 1),
            "whole_s": first["whole_s"],
            "whole_over_path": round(first["whole_s"] / path, 3),
            "second_adapter_s": later["adapter/second"],
            "second_whole_s": second["whole_s"],
            "gpu_busy_share": busy,
            "stages": [*first["stages"], *(s for s in second["stages"] if not s["cached"])],
        }

    def run(self, *adapters: str, until: str = "") -> dict[str, Any]:
        """``olive-operator run`` on a manifest with these adapters: its report."""
        manifest = self.folder / "job.yaml"
        manifest.write_text(yaml.safe_dump(self.manifest(adapters)))
        command = [sys.executable, "-m", "olive_cli.run", "run", str(manifest), "--json"]
        command += ["--store", str(self.folder / "store"), "--claim", f"bench={self.claim}"]
        command += ["--stage-python", self.python, *(["--until", until] if until else [])]
        done = subprocess.run(command, env=self.environment(), stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"the job failed:\n{done.stdout}")
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report

    def manifest(self, adapters: tuple[str, ...]) -> dict[str, Any]:
        """The job: the lab's, at this shape."""
        tokens = TOKENS[self.shape]
        lora = {"rank": RANK[self.shape], "maxSteps": 100, "batchSize": 8, "maxLength": tokens}
        calibration = {"source": "pvc://bench/calibration.jsonl", "template": "{text}"}
        return {
            "apiVersion": "olive-operator.io/v1alpha1",
            "kind": "OptimizationJob",
            "metadata": {"name": "bench"},
            "spec": {
                "model": {"source": "pvc://bench/model"},
                "quantize": {
                    "algorithm": "awq",
                    "groupSize": GROUP[self.shape],
                    "calibration": {**calibration, "samples": 128, "maxLength": tokens},
                },
                "adapters": [
                    {
                        "name": name,
                        "data": {
                            "source": f"pvc://bench/{name}.jsonl",
                            "template": TEMPLATE,
                            "evalSplit": 0.0,
                        },
                        "lora": lora,
                    }
                    for name in adapters
                ],
                "gpu": {"count": 1 if has_gpu() else 0},
            },
        }

    def logits_error(self, found: dict[str, Any]) -> dict[str, float]:
        """How far the exported model with its adapter is from the model that it came from."""
        names = ("quantize", "finetune/first", "export", "adapter/first")
        folders = [str(self.artifact(found, name)) for name in names]
        told = self.stage_code("logits_error.py", *folders, str(self.claim / "second.jsonl"))
        error: dict[str, float] = json.loads(told.splitlines()[-1])
        return error

    def olive(self) -> dict[str, Any]:
        """The same work by Olive's commands in the lab's order; a command that fails says so."""
        told = self.stage_code("olive_commands.py", self.shape, str(self.claim), str(self.folder))
        found: dict[str, Any] = json.loads(told.splitlines()[-1])
        return found

    def one_process(self, found: dict[str, Any]) -> dict[str, Any]:
        """Three adapters by three stages, one after the other, and in one process."""
        artifact = json.loads(
            (self.artifact(found, "finetune/first") / "artifact.json").read_text()
        )
        model, data = (
            str(self.folder / "store" / artifact["inputs"][r]) for r in ("model", "data")
        )
        told = self.stage_code("one_process.py", json.dumps(artifact["params"]), model, data)
        return {
            "three_stages_s": round(3 * found["finetune_s"], 1),
            **json.loads(told.splitlines()[-1]),
        }

    def artifact(self, found: dict[str, Any], name: str) -> Path:
        """The folder of what a stage made."""
        key = next(stage["key"] for stage in found["stages"] if stage["name"] == name)
        return self.folder / "store" / str(key)

    def stage_code(self, program: str, *arguments: str) -> str:
        """A program of bench/stage, run with the stages' environment: what it printed."""
        command = [self.python, str(ROOT / "bench" / "stage" / program), *arguments]
        done = subprocess.run(
            command, env=self.environment(), stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def environment(self) -> dict[str, str]:
        paths = [str(ROOT / "operator"), str(ROOT / "images" / "stage")]
        known = os.environ.get("PYTHONPATH")
        return {**os.environ, "PYTHONPATH": ":".join([*paths, *([known] if known else [])])}


def seconds_of(report: dict[str, Any], name: str) -> float:
    """What a stage of a report took."""
    return next(float(s["seconds"]) for s in report["stages"] if s["name"] == name)


def unix(instant: str) -> float:
    """Seconds since 1970 of an RFC 3339 text."""
    return datetime.fromisoformat(instant).timestamp()


def device() -> str:
    """The GPU by name, or the word CPU."""
    if not has_gpu():
        return "CPU"
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return ", ".join(subprocess.check_output(query, text=True).split("\n")[:-1])


def table(found: dict[str, Any]) -> str:
    """Stages first, then the figures over them."""
    rows = [f"{'stage':22} {'took s':>8} {'GPU busy':>9}"]
    for stage in found["stages"]:
        busy = found["gpu_busy_share"].get(stage["name"])
        share = f"{busy:.0%}" if busy is not None else ""
        rows.append(f"{stage['name']:22} {stage['seconds']:8.1f} {share:>9}")
    for name in ("critical_path_s", "whole_s", "second_adapter_s", "second_whole_s"):
        rows.append(f"{name:22} {found[name]:8.1f}")
    for name in ("three_stages_s", "one_process_s", "olive_cli_s"):
        if name in found:
            rows.append(f"{name:22} {found[name]:8.1f}")
    rows += [f"logits error, {k:14} {v:7.2%}" for k, v in found["logits_error"].items()]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
