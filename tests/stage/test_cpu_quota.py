"""The CPU quota, as both versions of cgroups write it."""

import os
from pathlib import Path

import pytest

from olive_stage.cpu_quota import cpu_quota, usable_cpus


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({"cpu.max": "150000 100000\n"}, 1.5, id="v2, one and a half"),
        pytest.param({"cpu.max": "max 100000\n"}, None, id="v2, no quota"),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            0.5,
            id="v1, half",
        ),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            None,
            id="v1, no quota",
        ),
        pytest.param({}, None, id="no cgroup"),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == quota


def test_threads_are_the_quota_rounded_up_within_the_affinity(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    (tmp_path / "cpu.max").write_text("30000 100000")
    assert usable_cpus(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("99900000 100000")
    assert usable_cpus(tmp_path) == allowed
