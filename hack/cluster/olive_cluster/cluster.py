"""up, down and status: the parts of a cluster put together, and taken away."""

import shutil

from olive_cluster import control_plane, images, node, pki, volumes
from olive_cluster.binaries import binary
from olive_cluster.control_plane import NODE_ENDPOINT, answers
from olive_cluster.packages import install
from olive_cluster.places import CLUSTERS, CONTAINERD, Places, locked
from olive_cluster.processes import Processes
from olive_cluster.sandbox import close_sandbox, open_sandbox, pod_cgroups
from olive_cluster.shell import ClusterError, require_root, run, say


def up(places: Places, *, only_control_plane: bool) -> None:
    """Bring a cluster up, unless it is."""
    with locked(places.root):
        processes = Processes(places)
        running = processes.all()
        if running and all(running.values()):
            if only_control_plane == ("kubelet" in running):
                kind = "has no node" if "kubelet" not in running else "has a node"
                raise ClusterError(f"cluster {places.name!r} is up but {kind}: use another --name")
            say(f"cluster {places.name!r} is already up")
            if not only_control_plane:
                _refill(places)
            return
        if any(running.values()):
            dead = next(name for name, pid in running.items() if pid is None)
            raise ClusterError(
                f"cluster {places.name!r} is half up ({dead} is not running): "
                f"`python3 hack/cluster down --name {places.name}` first\n{processes.log_end(dead)}"
            )
        _remove(processes)  # of a cluster that ended with the machine, say
        try:
            _control_plane(processes) if only_control_plane else _node(processes)
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


def _clusters() -> list[Places]:
    return [Places(path.name) for path in sorted(CLUSTERS.glob("*")) if path.is_dir()]


def _control_plane(processes: Processes) -> None:
    places = processes.places
    install("openssl")
    endpoint = control_plane.local_endpoint()
    places.make()
    control_plane.write_identities(places, endpoint, [])
    control_plane.start_api_server(processes, endpoint, with_node=False)
    _await_api_server(processes)
    control_plane.start_controllers(processes)
    _await_accounts(processes)


def _node(processes: Processes) -> None:
    places = processes.places
    require_root("a cluster with a node (without one: --control-plane)")
    install("containerd", "runc", "ip", "iptables", "nsenter", "openssl", node.BRIDGE_PLUGIN)
    if pod_cgroups():
        raise ClusterError("another kubelet's pods run on this machine (control group kubepods)")
    binary("kubelet")  # whatever has to be built is built before anything is set up
    binary("etcd")
    places.make()
    clients = [pki.SCHEDULER, pki.PROXY, pki.kubelet(places.name)]
    control_plane.write_identities(places, NODE_ENDPOINT, clients)
    node.write_config(places)
    open_sandbox(processes)
    node.start_containerd(processes)
    control_plane.start_api_server(processes, NODE_ENDPOINT, with_node=True)
    containerd = [*images.ctr(places), "version"]
    processes.until("an answer of containerd", lambda: bool(run(containerd, check=False)))
    images.load_pause(places)
    _await_api_server(processes)
    control_plane.start_controllers(processes)
    processes.start("scheduler", [binary("kube-scheduler"), *control_plane.scheduler()])
    node.start_node(processes)
    _refill(places)
    ready = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    get_node = ("get", "node", places.name, ready)
    processes.until(
        "node that is Ready",
        lambda: answers(places, *get_node) and "True" in control_plane.kubectl(places, *get_node),
    )
    _await_accounts(processes)
    say(f"node {places.name!r} is Ready")


def _refill(places: Places) -> None:
    volumes.offer(places, volumes.POOL, "100Gi", volumes.DEFAULT_CLASS)


def _await_api_server(processes: Processes) -> None:
    ready = ("get", "--raw=/readyz")
    processes.until("API server that is ready", lambda: answers(processes.places, *ready))
    say("the API server is ready")


def _await_accounts(processes: Processes) -> None:
    """Wait until pods can be created: each has a service account, `default` if no other."""
    account = ("get", "serviceaccount", "default", "--namespace=default", "--output=name")
    processes.until("default service account", lambda: answers(processes.places, *account))


def _remove(processes: Processes) -> None:
    had_node = "sandbox" in processes.all()
    processes.end()
    if had_node:
        close_sandbox()
    shutil.rmtree(processes.places.root, ignore_errors=True)
