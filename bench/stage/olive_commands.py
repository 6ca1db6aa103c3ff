"""The lab's work by Olive's own commands, one after the other; run with the stages' environment.

    python bench/stage/olive_commands.py SHAPE CLAIM FOLDER

``CLAIM`` is what models.py made. Each step is tried by the command that the lab would use
today, and by the next best where that leaves no result: Olive's exit code says little, so only the
output counts. Last line: JSON with ``olive_cli_s``, the seconds of the commands that ran, and
``olive_steps``, what every command came to.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

TEMPLATE = "<|user|>\n{prompt}<|end|>\n<|assistant|>\n{response}<|end|>"
TIMEOUT_SECONDS = 330
OLIVE = [sys.executable, "-m", "olive"]
BUILDER = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
TOKENS = {"tiny": "96", "phi-3.5-mini": "512"}
RANK = {"tiny": "8", "phi-3.5-mini": "64"}
GROUP = {"tiny": 32, "phi-3.5-mini": 128}

Found = tuple[Path | None, list[dict[str, Any]]]


def main() -> None:
    shape, claim, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) / "olive"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, steps = str(claim / "model"), []
    quantized, tried = first(folder, "quantize", "config.json", quantize(model, claim, shape))
    steps += tried
    start = str(quantized.parent) if quantized else model
    data = claim / "first.jsonl"
    tunings = [finetune(start, data, shape), finetune(model, data, shape)]
    adapter, tried = first(folder, "finetune", "adapter_config.json", tunings)
    steps += tried
    exports = export(start, str(adapter.parent) if adapter else "")
    _, tried = first(folder, "export", "model.onnx", exports)
    steps += tried
    ran = [step["seconds"] for step in steps if step["ok"]]
    print(json.dumps({"olive_cli_s": round(sum(ran), 1), "olive_steps": steps}))


def quantize(model: str, claim: Path, shape: str) -> list[list[str]]:
    """AWQ as in the lab; GPTQ by the same command; GPTQ by its pass, which takes local data."""
    file, tokens = str(claim / "calibration.jsonl"), TOKENS[shape]
    data = ["-d", "json", "--data_files", file, "--text_field", "text"]
    data += ["--max_seq_len", tokens, "--max_samples", "128"]
    common = [*OLIVE, "quantize", "-m", model, "--precision", "int4", *data]
    rows = {
        "name": "calibration",
        "type": "HuggingfaceContainer",
        "load_dataset_config": {"data_name": "json", "data_files": file, "split": "train"},
        "pre_process_data_config": {
            "model_name": model,
            "task": "text-generation",
            "text_cols": "text",
            "strategy": "line-by-line",
            "max_seq_len": int(tokens),
            "max_samples": 128,
            "add_special_tokens": False,
        },
        "dataloader_config": {"batch_size": 1},
    }
    config = {"bits": 4, "group_size": GROUP[shape], "sym": True, "data_config": rows}
    gptq = ["run-pass", "--pass-name", "Gptq", "--pass-config", json.dumps(config), "-m", model]
    return [[*common, "--algorithm", "awq"], [*common, "--algorithm", "gptq"], [*OLIVE, *gptq]]


def finetune(model: str, data: Path, shape: str) -> list[str]:
    """A LoRA: 100 steps of eight rows."""
    values = {
        "--method": "lora",
        "-m": model,
        "--data_name": "json",
        "--data_files": str(data),
        "--text_template": TEMPLATE,
        "--max_seq_len": TOKENS[shape],
        "--torch_dtype": "bfloat16",
        "--lora_r": RANK[shape],
        "--max_steps": "100",
        "--per_device_train_batch_size": "8",
    }
    return [*OLIVE, "finetune", *(part for pair in values.items() for part in pair)]


def export(model: str, adapter: str) -> list[list[str]]:
    """ONNX with the adapter; without it; and by the builder that Olive drives."""
    device = ["--device", "cpu", "--provider", "CPUExecutionProvider", "--precision", "int4"]
    with_adapter = ["-a", adapter] if adapter else []
    return [
        [*OLIVE, "auto-opt", "-m", model, *with_adapter, *device, "--use_ort_genai"],
        [*OLIVE, "optimize", "-m", model, *with_adapter, *device, "--exporter", "model_builder"],
        [*BUILDER, "-i", model, "-p", "int4", "-e", "cpu"],
    ]


def first(folder: Path, step: str, wanted: str, commands: list[list[str]]) -> Found:
    """The wanted file of the first command that leaves one, and what each command came to."""
    tried = []
    for number, command in enumerate(commands):
        out = folder / f"{step}-{number}"
        started = time.monotonic()
        code = run([*command, "-o", str(out)], folder / f"{step}-{number}.log")
        found = sorted(out.rglob(wanted))
        tried.append(
            {
                "step": step,
                "command": shown(command),
                "ok": bool(found),
                "seconds": round(time.monotonic() - started, 1),
                "said": "" if found else last_error(folder / f"{step}-{number}.log", code),
            }
        )
        if found:
            return found[0], tried
    return None, tried


def shown(command: list[str]) -> str:
    """The command in a few words: its program, its verb, and what tells it from the next."""
    kinds = {"--algorithm", "--pass-name", "--method", "--exporter"}
    told = [f"{a} {b}" for a, b in pairwise(command) if a in kinds]
    return " ".join([*command[2:4], *told])


def run(command: list[str], log: Path) -> int | None:
    """The command's exit code; None if it took too long. A cache of its own for each."""
    environment = {**os.environ, "CI": "1", "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}
    with log.open("w") as out:
        try:
            return subprocess.run(
                command,
                env=environment,
                cwd=log.parent,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_SECONDS,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def last_error(log: Path, code: int | None) -> str:
    """The log's last line that names an error."""
    if code is None:
        return f"no result after {TIMEOUT_SECONDS} s"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line or "error" in line]
    return (errors or lines or ["nothing"])[-1][:200]


if __name__ == "__main__":
    main()
