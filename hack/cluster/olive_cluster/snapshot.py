"""etcd's data, saved while it runs and brought back later: the day after a cluster was lost."""

import shutil
import time
from pathlib import Path

from olive_cluster.binaries import binary
from olive_cluster.control_plane import ETCD, ETCD_MEMBER
from olive_cluster.places import Places, locked
from olive_cluster.processes import Processes
from olive_cluster.shell import ClusterError, run
from olive_cluster.up import await_api_server

CACHING = ("controller-manager", "scheduler", "kubelet", "kwok")
"""Programs that keep what they have once seen."""


def save(places: Places, file: Path) -> None:
    """Write a consistent copy of etcd's data to `file`."""
    with locked(places.root):
        if Processes(places).pid("etcd") is None:
            raise ClusterError(f"etcd of cluster {places.name!r} is not running: nothing to save")
        command = [binary("etcdctl"), f"--endpoints={ETCD}", "snapshot", "save"]
        run([*command, str(file.resolve())], cwd=places.root)


def restore(places: Places, file: Path) -> None:
    """Put the data of `file` in etcd's place, and start etcd and the API server with it.

    To clients the revision must not go backwards: what they saw since must count as long gone,
    or else their watches would wait for what never comes. So it is raised by the microseconds
    since 1970, which outruns any number of changes, and what lies below counts as compacted.

    Kubernetes' own programs do not see that objects have become older. They are started anew, as
    https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/ asks for.
    """
    with locked(places.root):
        processes = Processes(places)
        if not file.is_file():
            raise ClusterError(f"there is no snapshot {file}")
        data, beside = places.root / "etcd", places.root / "etcd.restored"
        shutil.rmtree(beside, ignore_errors=True)
        raised = [f"--bump-revision={time.time_ns() // 1000}", "--mark-compacted"]
        command = [binary("etcdutl"), "snapshot", "restore", str(file.resolve()), *raised]
        run([*command, f"--data-dir={beside}", *ETCD_MEMBER])
        for program in ("apiserver", "etcd"):
            processes.stop(program)
        shutil.rmtree(data, ignore_errors=True)
        beside.rename(data)
        for program in ("etcd", "apiserver"):
            processes.start_again(program)
        await_api_server(processes)
        for program, pid in processes.all().items():
            if program in CACHING and pid:
                processes.stop(program)
                processes.start_again(program)
