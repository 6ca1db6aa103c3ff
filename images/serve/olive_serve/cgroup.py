"""CPU and memory that the container may use, from its cgroup (v1 or v2).

Thread pools that count the machine's cores are throttled under a quota; caches that count the
machine's memory are killed. In a container the group is the mount's root; elsewhere
``/proc/self/cgroup`` names it, and every parent's limit holds too.
"""

import math
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

FS = Path("/sys/fs/cgroup")
UNLIMITED_V1 = 1 << 60
"""cgroup v1 writes "no limit" as the largest multiple of the page size."""


def cpus(fs: Path = FS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Whole CPUs this process may keep busy, at least 1: the least of quota and affinity."""
    quotas = [q for folder in _folders(fs, own, "cpu") if (q := _quota(folder)) is not None]
    return max(1, math.floor(min([*quotas, float(len(os.sched_getaffinity(0)))])))


def memory_limit(fs: Path = FS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes this process's group may use, or None without a limit."""
    limits = []
    for folder in _folders(fs, own, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(folder / name)
            if text.isdigit() and int(text) < UNLIMITED_V1:
                limits.append(int(text))
    return min(limits, default=None)


def available_memory() -> int:
    """Bytes that this process may still take: of its container, or of the machine."""
    if (limit := memory_limit()) is not None:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
        return max(limit - resident, 0)
    available = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    return int(available) * 1024


def _folders(fs: Path, own: Path, controller: str) -> Iterator[Path]:
    """The group's folder and its parents', of the one hierarchy (v2) and the controller's (v1)."""
    for line in _read(own).splitlines() or ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = fs / controller if controllers else fs
        relative = Path(path.lstrip("/"))
        yield from (root / part for part in (relative, *relative.parents))


def _quota(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = (_read(folder / f"cpu.cfs_{n}_us") for n in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
