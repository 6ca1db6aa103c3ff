"""How fast a model with adapters answers on CPU, beside onnxruntime-genai and llama-server.

    make bench-serve    (python -m serve [--rounds N] [--folder FOLDER] [--no-keep])

All are processes of this machine, asked in turn within one run, greedily, for the same lengths: of
SmolLM-135M's shape, int4 (blocks of 64) with an int8 head and int8 activations for ONNX Runtime,
Q4_0 throughout for llama.cpp, adapters of rank 16 on every projection, random weights. Ours and
llama-server stream over HTTP; onnxruntime-genai runs in its own loop, without one. A speed is all
tokens of the answers by the time from the first question to the last answer's end, so prompts are
in it. Ratios are medians over rounds. A table, then JSON in the last line, kept as
bench/results/serve.json. ``--folder`` keeps the models for the next time.
"""

import argparse
import asyncio
import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from machine import ROOT, keep

from serve import hostile, roofline, speed, waiting
from serve.llama import VERSION, build_flags, gguf_package, llama_server
from serve.servers import GenaiLoop, LlamaServer, Ours
from serve.soak import Soak

STAGE = ROOT / "images" / "stage"
ADAPTERS, HOSTILE = 4, 10_000


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="of the models; kept")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="instead: many for long")
    parser.add_argument("--no-keep", action="store_true", help="leave bench/results as it is")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="olive-bench-") as temporary:
        folder = arguments.folder or Path(temporary) / "serve"
        if not folder.exists():
            make_models(folder)
        name = "serve-soak" if arguments.soak else "serve"
        if arguments.soak:
            found = asyncio.run(soak(folder, arguments.soak * 60))
        else:
            found = asyncio.run(measure(folder, arguments.rounds))
            print(table(found))
    if arguments.no_keep:
        print(json.dumps({"bench": name, **found}))
    else:
        keep(name, found)


def make_models(folder: Path) -> None:
    """By the stages' environment, in some minutes."""
    llama_server()
    subprocess.run(
        [
            str(STAGE / ".venv" / "bin" / "python"),
            str(ROOT / "bench" / "stage" / "serve_model.py"),
            str(folder),
            str(gguf_package()),
        ],
        env={**os.environ, "PYTHONPATH": f"{STAGE}:{ROOT / 'operator'}", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


async def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Speeds first, then how long somebody waits."""
    threads = len(os.sched_getaffinity(0))
    weights, bandwidth = roofline.bytes_per_token(folder / "model"), roofline.bandwidth()
    ours = Ours(folder, threads)
    llama, genai = LlamaServer(folder, threads, ADAPTERS), GenaiLoop(folder, threads)
    try:
        await speed.measure({"ours": ours, "llama": llama}, genai)  # warms everything up
        measured = [
            await speed.measure({"ours": ours, "llama": llama}, genai) for _ in range(rounds)
        ]
        first, known = await waiting.first_token(ours), await waiting.known_beginning(ours)
        alive, freed = await waiting.liveness(ours), await waiting.freed_place(ours)
        bad = await hostile.stalls(ours, HOSTILE)
    finally:
        for each in (ours, llama, genai):
            each.stop()
    speeds = speed.speeds(measured)
    ratios = speed.ratios(measured) | {
        "ttft_beside_alone": round(first["beside"] / first["alone"], 2),
        "ttft_known_first": round(known["second"] / known["first"], 3),
    }
    return {
        "ratios": ratios,
        "tokens_per_second": speeds,
        "ttft_ms": {"prompt_512": first, "shared_1000": known},
        "freed_place_ms": freed,
        "liveness_p99_ms": alive["p99"],
        "liveness_ms": alive,
        "hostile": bad,
        "roofline_share": round(speeds["ours/base1"] * weights / bandwidth, 3),
        "bytes_per_token": weights,
        "memory_bytes_per_second": round(bandwidth),
        "rounds": rounds,
        "threads": threads,
        "llama": {"package": f"llama-cpp-python {VERSION}", "flags": [*build_flags()]},
    }


async def soak(folder: Path, seconds: float) -> dict[str, Any]:
    """32 streams for so long."""
    server = Ours(folder, len(os.sched_getaffinity(0)))
    try:
        return await Soak(server, folder / "serving.json").run(seconds)
    finally:
        server.stop()


def table(found: dict[str, Any]) -> str:
    """What was measured, and whether it is what it is to be."""
    speeds, ratios = found["tokens_per_second"], found["ratios"]
    lines = [f"{'tokens per second':24} {'ours':>7} {'llama':>7} {'genai':>7}"]
    for name in speed.STREAMS:
        cells = [speeds.get(f"{server}/{name}") for server in ("ours", "llama", "genai")]
        lines.append(f"{name:24} " + " ".join(f"{c:7.1f}" if c else "      -" for c in cells))
    lines.append(f"\n{'ratio':24} {'is':>7} {'bound':>8}")
    bounds = [(case.name, case.at_least, True) for case in speed.CASES]
    bounds += [("ttft_beside_alone", 1.6, False), ("ttft_known_first", 0.15, False)]
    for name, bound, least in bounds:
        met = ratios[name] >= bound if least else ratios[name] <= bound
        sign = ">=" if least else "<="
        lines.append(
            f"{name:24} {ratios[name]:7.3f} {sign} {bound:5.2f}  {'' if met else 'MISSED'}"
        )
    lines.append(f"\nliveness p99 {found['liveness_p99_ms']} ms (< 50); ")
    freed = found["freed_place_ms"]
    lines[-1] += f"a place is taken again {freed['p50']} ms after a hang-up (<= 50); "
    lines[-1] += f"{found['roofline_share']:.0%} of the memory's bandwidth at one stream; "
    lines[-1] += (
        f"longest stall beside bad requests {found['hostile']['longest_stall_ms']} ms (<= 100)"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
