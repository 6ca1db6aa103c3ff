"""A process of ours is known by its pid and its start time, and ended by nobody's mistake."""

import os
import socket
import sys
from pathlib import Path

import pytest
from olive_cluster.control_plane import local_endpoint
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


def test_what_was_stopped_starts_again_by_the_same_command(processes: Processes) -> None:
    pid = processes.start("one", FOREVER)
    processes.start_again("one")
    assert processes.all() == {"one": pid}  # it was running
    processes.stop("one")
    assert processes.all() == {"one": None}
    processes.start_again("one")
    another = processes.pid("one")
    assert another not in (None, pid)
    command = Path(f"/proc/{another}/cmdline").read_bytes().decode().split("\0")
    assert command[:-1] == FOREVER
    processes.end()


LISTEN = """
import signal, socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
memory = bytearray(b"x") * (300 << 20)  # whose return takes the kernel a while
for _ in range(16):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pause()
"""


@pytest.mark.parametrize("attempt", range(4))
def test_the_port_of_what_was_stopped_is_free(processes: Processes, attempt: int) -> None:
    port = local_endpoint().port
    processes.start("one", [sys.executable, "-c", LISTEN, str(port)])
    threads = Path(f"/proc/{processes.pid('one')}/task")
    eventually(lambda: len(list(threads.iterdir())) == 17)
    processes.stop("one")
    socket.create_server(("127.0.0.1", port)).close()


def test_a_program_that_the_cluster_does_not_have_cannot_be_stopped(processes: Processes) -> None:
    processes.start("one", FOREVER)
    with pytest.raises(ClusterError, match="'test' has no process 'two', but one"):
        processes.stop("two")
    processes.end()


def test_a_pid_that_passed_to_another_process_is_not_ours(processes: Processes) -> None:
    (processes.places.pids / "one").write_text(f"{os.getpid()} 1")
    assert processes.pid("one") is None
    processes.end()  # and this process lives on


def test_waiting_ends_with_the_log_of_the_process_that_died(processes: Processes) -> None:
    processes.start("one", [sys.executable, "-c", "raise SystemExit('no etcd here')"])
    eventually(lambda: processes.pid("one") is None)
    with pytest.raises(ClusterError, match=r"(?s)no answer: one ended.*one\.log.*no etcd here"):
        processes.until("answer", lambda: False)


def test_waiting_goes_on_without_a_process_that_is_not_needed(processes: Processes) -> None:
    processes.start("other", FOREVER)
    processes.stop("other")
    processes.start("needed", FOREVER)
    answers = iter([False, True])
    processes.until("answer", lambda: next(answers), needed=["needed"])
    processes.end()


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
