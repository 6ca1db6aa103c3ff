"""What this machine has for stages: its cores, and the GPUs that may be used."""

import os
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """``cores`` that this process may use; ``gpus`` as CUDA_VISIBLE_DEVICES names them."""

    cores: int
    gpus: tuple[str, ...] = ()


def this(most_gpus: int | None) -> Machine:
    """This machine, with at most so many of its GPUs."""
    gpus = () if most_gpus == 0 else _gpus()
    return Machine(len(os.sched_getaffinity(0)), gpus[:most_gpus])


def _gpus() -> tuple[str, ...]:
    """Those that the environment names; otherwise all that the driver tells of."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(part.strip() for part in named.split(",") if part.strip() not in ("", "-1"))
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in told.stdout.splitlines() if line.strip())
