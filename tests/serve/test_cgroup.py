"""CPU quota and memory limit, as cgroup v1 and v2 write them."""

import os
from pathlib import Path

import pytest

from olive_serve import cgroup

CORES = len(os.sched_getaffinity(0))


def group(tmp_path: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    (tmp_path / "cgroup").write_text(own)
    return tmp_path / "fs", tmp_path / "cgroup"


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        pytest.param("0::/\n", {"cpu.max": "100000 100000\n"}, 1, id="v2 in a container"),
        pytest.param("0::/\n", {"cpu.max": "50000 100000\n"}, 1, id="never less than one"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, CORES, id="v2 without a quota"),
        pytest.param("0::/a/b\n", {"a/cpu.max": "100000 100000\n"}, 1, id="a parent's quota"),
        pytest.param(
            "4:cpu,cpuacct:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            1,
            id="v1, one and a half",
        ),
        pytest.param(
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            CORES,
            id="v1 without a quota",
        ),
        pytest.param("0::/\n", {}, CORES, id="no cgroup at all"),
        pytest.param("0::/\n", {"cpu.max": "99900000 100000\n"}, CORES, id="more than there are"),
    ],
)
def test_cpus(tmp_path: Path, own: str, files: dict[str, str], cpus: int) -> None:
    assert cgroup.cpus(*group(tmp_path, own, files)) == cpus


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "1073741824\n"}, 1 << 30),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/a/b\n", {"a/memory.max": "512\n", "a/b/memory.max": "1024\n"}, 512),
        ("9:memory:/\n", {"memory/memory.limit_in_bytes": "2048\n"}, 2048),
        ("9:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_memory_limit(tmp_path: Path, own: str, files: dict[str, str], limit: int | None) -> None:
    assert cgroup.memory_limit(*group(tmp_path, own, files)) == limit
