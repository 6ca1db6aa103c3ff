"""A cluster as a whole: up, down, status; its programs stopped and started one by one."""

import shutil

from olive_cluster import volumes
from olive_cluster.kueue import await_kueue
from olive_cluster.places import CLUSTERS, CONTAINERD, Places, locked
from olive_cluster.processes import Processes
from olive_cluster.sandbox import close_sandbox
from olive_cluster.shell import ClusterError, say
from olive_cluster.up import Alone, await_api_server, bring_up_alone, bring_up_node

PROGRAMS = ("etcd", "apiserver", "controller-manager", "scheduler", "kwok", "kueue")
"""Those that can be stopped and started: the processes are named so."""


def up(places: Places, alone: Alone | None) -> None:
    """Bring a cluster up, with a node or as a control plane alone, unless it is."""
    with locked(places.root):
        processes = Processes(places)
        running = processes.all()
        if running and all(running.values()):
            _require_same(places, set(running), alone)
            say(f"cluster {places.name!r} is already up")
            if alone is None:
                volumes.refill(places)
            return
        if any(running.values()):
            dead = next(name for name, pid in running.items() if pid is None)
            raise ClusterError(
                f"cluster {places.name!r} is half up ({dead} is not running): `python3 hack/cluster"
                f" down --name {places.name}` first\n{processes.log_end(dead)}"
            )
        _remove(processes)  # of a cluster that ended with the machine, say
        try:
            bring_up_alone(processes, alone) if alone else bring_up_node(processes)
        except ClusterError as error:
            if not places.logs.exists():
                raise
            raise ClusterError(f"{error}\n(the logs stay in {places.logs} until `down`)") from None


def down(places: Places, *, purge: bool) -> None:
    """Take a cluster down and remove what it left, but for the caches."""
    with locked(places.root):
        _remove(Processes(places))
        if purge:
            users = [other.name for other in _clusters() if Processes(other).pid("containerd")]
            if users:
                raise ClusterError(f"cluster {users[0]!r} uses the images: take it down first")
            shutil.rmtree(CONTAINERD, ignore_errors=True)


def status() -> bool:
    """Tell of every cluster and its processes; whether all that should run does."""
    every = _clusters()
    healthy = bool(every)
    for places in every:
        print(f"{places.name}: KUBECONFIG={places.kubeconfig}")
        for name, pid in Processes(places).all().items():
            print(f"  {name:20} {pid or f'not running, see {places.logs}/{name}.log'}")
            healthy &= pid is not None
    if not every:
        print("no cluster is up")
    return healthy


def stop(places: Places, program: str) -> None:
    """Kill one program of a cluster, as a crash would."""
    with locked(places.root):
        Processes(places).stop(program)


def start(places: Places, program: str) -> None:
    """Start a program of a cluster again, as it was, and wait for the API server and Kueue."""
    with locked(places.root):
        processes = Processes(places)
        processes.start_again(program)
        if processes.pid("etcd") and processes.pid("apiserver"):
            await_api_server(processes)
            if program == "kueue":
                await_kueue(processes)


def _clusters() -> list[Places]:
    return [Places(path.name) for path in sorted(CLUSTERS.glob("*")) if path.is_dir()]


def _require_same(places: Places, running: set[str], alone: Alone | None) -> None:
    """Raise where a cluster of that name is up, but is not the one that is wanted."""
    wanted = [client.file for client in alone.clients()] if alone else ["kubelet"]
    other = [f"no {name}" for name in wanted if name not in running]
    if alone and "kubelet" in running:
        other.append("a node")
    if other:
        has = " and ".join(other)
        raise ClusterError(f"cluster {places.name!r} is up but has {has}: use another --name")


def _remove(processes: Processes) -> None:
    had_node = "sandbox" in processes.all()
    processes.end()
    if had_node:
        close_sandbox()
    shutil.rmtree(processes.places.root, ignore_errors=True)
