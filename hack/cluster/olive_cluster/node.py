"""containerd, the kubelet and kube-proxy inside the sandbox: one node."""

import json

from olive_cluster.binaries import binary
from olive_cluster.places import CONTAINERD, Places
from olive_cluster.processes import Processes
from olive_cluster.sandbox import BRIDGE, NODE_ADDRESS, PODS

CNI_PLUGINS = "/usr/lib/cni"
BRIDGE_PLUGIN = f"{CNI_PLUGINS}/bridge"
PAUSE_IMAGE = "localhost/olive-operator/pause:1"


def containerd(places: Places) -> str:
    """containerd's configuration. Its socket is the only thing of it outside the sandbox."""
    return f"""\
version = 2
root = "{CONTAINERD}"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{places.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{places.root}/files/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{places.config}/cni"
"""


def cni() -> dict[str, object]:
    """The pod network: a bridge. Nothing is masqueraded, for nothing leaves the machine."""
    ranges = [[{"subnet": PODS, "gateway": NODE_ADDRESS}]]
    routes = [{"dst": "0.0.0.0/0"}]
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
    }
    return {"cniVersion": "0.4.0", "name": "olive", "plugins": [bridge]}


def kubelet(places: Places) -> dict[str, object]:
    """The kubelet's configuration: a node for tests on a machine that does other work as well."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{places.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{places.containerd_socket}",
        # No systemd is asked for, and control groups of version 1 will do.
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "clusterDomain": "cluster.local",
        # No DNS server: pods find a Service by its address, or not at all.
        "resolvConf": f"{places.config}/resolv.conf",
        "makeIPTablesUtilChains": False,
        # Images are the cache's business; a full disk of the machine is not the node's.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "200Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }


def proxy(places: Places) -> dict[str, object]:
    """kube-proxy's configuration; a new Service answers within a tenth of a second."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": f"{places.config}/proxy"},
        "clusterCIDR": PODS,
        "hostnameOverride": places.name,
        "oomScoreAdj": 0,
        # The kernel's own limits will do; they are the machine's to change.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms"},
    }


def write_config(places: Places) -> None:
    """Write what the three read."""
    (places.config / "cni").mkdir()
    (places.config / "cni" / "10-olive.conflist").write_text(json.dumps(cni()))
    (places.config / "containerd.toml").write_text(containerd(places))
    (places.config / "kubelet.json").write_text(json.dumps(kubelet(places), indent=1))
    (places.config / "proxy.json").write_text(json.dumps(proxy(places), indent=1))
    (places.config / "resolv.conf").touch()


def start_containerd(processes: Processes) -> None:
    """Start containerd."""
    processes.start("containerd", ["containerd", "--config=config/containerd.toml"])


def start_node(processes: Processes) -> None:
    """Start the kubelet and kube-proxy."""
    name = processes.places.name
    node = ["--config=config/kubelet.json", "--kubeconfig=config/kubelet"]
    address = [f"--hostname-override={name}", f"--node-ip={NODE_ADDRESS}"]
    processes.start("kubelet", [binary("kubelet"), *node, *address])
    processes.start("proxy", [binary("kube-proxy"), "--config=config/proxy.json"])
