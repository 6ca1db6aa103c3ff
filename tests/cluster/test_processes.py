"""A process of ours is known by its pid and its start time, and ended by nobody's mistake."""

import os
import sys
from pathlib import Path

import pytest
from olive_cluster.places import Places, locked
from olive_cluster.processes import Processes
from olive_cluster.shell import ClusterError

from .namespace import eventually

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    monkeypatch.setattr("olive_cluster.places.CLUSTERS", tmp_path)
    places = Places("test")
    places.make()
    return Processes(places)


def test_what_was_started_is_running_until_it_is_ended(processes: Processes) -> None:
    pid = processes.start("one", FOREVER)
    assert processes.all() == {"one": pid}
    processes.end()
    assert processes.all() == {"one": None}


def test_a_pid_that_passed_to_another_process_is_not_ours(processes: Processes) -> None:
    (processes.places.pids / "one").write_text(f"{os.getpid()} 1")
    assert processes.pid("one") is None
    processes.end()  # and this process lives on


def test_waiting_ends_with_the_log_of_the_process_that_died(processes: Processes) -> None:
    processes.start("one", [sys.executable, "-c", "raise SystemExit('no etcd here')"])
    eventually(lambda: processes.pid("one") is None)
    with pytest.raises(ClusterError, match=r"(?s)no answer: one ended.*one\.log.*no etcd here"):
        processes.until("answer", lambda: False)


def test_waiting_is_not_forever(processes: Processes) -> None:
    with pytest.raises(ClusterError, match="there is still no answer"):
        processes.until("answer", lambda: False, seconds=0)


@pytest.mark.parametrize("name", ["", "A", "-a", "a/b", "..", "a" * 42])
def test_a_name_is_safe_as_a_folder_and_as_a_node(name: str) -> None:
    with pytest.raises(ClusterError, match="cluster name"):
        Places(name)


def test_a_lock_leaves_nothing(tmp_path: Path) -> None:
    with locked(tmp_path / "it"):
        assert [path.name for path in tmp_path.iterdir()] == ["it.lock"]
    assert not list(tmp_path.iterdir())
