"""Namespaces of their own for a node, so that the machine keeps no trace of it.

A tiny process holds a network, a mount and a pid namespace, and the whole node lives in them:
its bridge, routes, firewall rules and ports, its mounts, its processes. When the holder is
killed the kernel ends and removes all of it, in one stroke and in whatever state it was.

    machine                    namespaces of the node
    olive0 10.245.0.1 ──────── host0 10.245.0.2
    routes to pods, Services   cni0  10.244.0.1 (node and API server) ─── pods 10.244.0.0/24

There is no route out but to the machine's end of the cable: pods reach nothing beyond it.
"""

import time
from contextlib import suppress
from pathlib import Path

from olive_cluster.binaries import binary
from olive_cluster.places import CACHE, Places
from olive_cluster.processes import POLL, Processes
from olive_cluster.shell import ClusterError, run

NODE_ADDRESS = "10.244.0.1"
PODS = "10.244.0.0/24"
SERVICES = "10.96.0.0/16"
BRIDGE = "cni0"
CABLE = "olive0"
CABLE_HOST, CABLE_NODE = "10.245.0.1", "10.245.0.2"

KUBELET_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What the kubelet insists on. It finds it in plain files, and the kernel keeps its own values."""

HIDDEN = ("/var/lib", "/var/log", "/run")
"""Where a node's programs leave things under names compiled into them: the node has its own."""


def open_sandbox(processes: Processes) -> None:
    """Make the namespaces with their mounts and network; later processes start inside."""
    places = processes.places
    if any(CACHE.is_relative_to(hidden) for hidden in HIDDEN):
        raise ClusterError(f"the cache may not be below {', '.join(HIDDEN)}: set XDG_CACHE_HOME")
    for module in ("overlay", "br_netfilter"):
        run(["modprobe", "-q", module], check=False)  # built in where there is no such module
    namespaces = ["--net", "--mount", "--pid", "--mount-proc"]
    command = ["unshare", *namespaces, "--fork", "--kill-child", binary("pause")]
    holder = processes.start("sandbox", command)
    children = Path(f"/proc/{holder}/task/{holder}/children")

    def ready() -> bool:
        with suppress(OSError):  # until there is a child, and once there is none any more
            child = children.read_text().strip()
            return Path(f"/proc/{child}/comm").read_text() == "pause\n"  # `unshare` at first
        return False

    processes.until("the namespaces of the node", ready)
    init = int(children.read_text())
    processes.record("init", init)
    # Entering a mount namespace leaves one at its root, so the working directory is set again.
    processes.enter = [*_nsenter(init), "env", f"--chdir={places.root}"]
    _mounts(places, processes.enter)
    try:
        _network(init, processes.enter)
    except ClusterError as error:
        taken = f"{CABLE}, {PODS} or {SERVICES}"
        raise ClusterError(f"no network for the node: is {taken} in use already? {error}") from None


def require_node(places: Places) -> int:
    """The pid of the node's process 1; an error where there is none."""
    init = Processes(places).pid("init")
    if init is None:
        raise ClusterError(f"cluster {places.name!r} has no node: `python3 hack/cluster up`")
    return init


def enter_sandbox(places: Places) -> list[str]:
    """What to put before a command that is to run inside the node."""
    return _nsenter(require_node(places))


def _nsenter(init: int) -> list[str]:
    return ["nsenter", "--target", str(init), "--net", "--mount", "--pid"]


def _mounts(places: Places, enter: list[str]) -> None:
    run([*enter, "mount", "--make-rshared", "/"])  # shared among the node's own pods only
    for name, value in KUBELET_SYSCTLS.items():
        plain = places.config / name.replace("/", ".")
        plain.write_text(value + "\n")
        run([*enter, "mount", "--bind", str(plain), f"/proc/sys/{name}"])
    for hidden in HIDDEN:
        own = places.root / "files" / hidden.removeprefix("/")
        own.mkdir(parents=True)
        run([*enter, "mount", "--bind", str(own), hidden])


def _network(init: int, enter: list[str]) -> None:
    run(
        ["ip", "-batch", "-"],
        stdin=f"""
            link add {CABLE} type veth peer name host0 netns {init}
            addr add {CABLE_HOST}/30 dev {CABLE}
            link set {CABLE} up
            route add {PODS} via {CABLE_NODE}
            route add {SERVICES} via {CABLE_NODE}
        """,
    )
    run(
        [*enter, "ip", "-batch", "-"],
        stdin=f"""
            link set lo up
            addr add {CABLE_NODE}/30 dev host0
            link set host0 up
            link add {BRIDGE} type bridge
            addr add {NODE_ADDRESS}/24 dev {BRIDGE}
            link set {BRIDGE} up
            route add {SERVICES} dev {BRIDGE}
        """,
    )
    # A pod that calls a Service of a pod on the same bridge is translated only by this.
    for name in ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"):
        run([*enter, "tee", "/proc/sys/" + name.replace(".", "/")], stdin="1")


def close_sandbox() -> None:
    """Remove what the kernel does not: the machine's end of the cable goes late, cgroups stay."""
    run(["ip", "link", "delete", CABLE], check=False)
    deadline = time.monotonic() + 10
    while groups := pod_cgroups():
        # A process leaves its group a moment after its end.
        with suppress(OSError):
            for pods in groups:
                for folder in sorted(pods.rglob("*/"), reverse=True):
                    folder.rmdir()
                pods.rmdir()
        if time.monotonic() > deadline:
            raise ClusterError(f"pods are left in {groups[0]}: is another kubelet running here?")
        time.sleep(POLL)


def pod_cgroups() -> list[Path]:
    """The control groups of the kubelet's pods: one in version 2, one per controller in 1."""
    root = Path("/sys/fs/cgroup")
    return [path for path in (root / "kubepods", *root.glob("*/kubepods")) if path.is_dir()]
