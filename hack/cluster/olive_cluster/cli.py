"""argv: one command each, answers on stdout, progress and errors on stderr."""

import argparse
import sys
from pathlib import Path

from olive_cluster import binaries, cluster, gpu, images, packages, snapshot, volumes
from olive_cluster.places import Places
from olive_cluster.shell import ClusterError, say
from olive_cluster.up import Alone


def main() -> None:
    """Run one command."""
    arguments = _parser().parse_args()
    try:
        sys.exit(_run(arguments))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: argparse.Namespace) -> int:
    places = Places(arguments.name)
    match arguments.command:
        case "up":
            cluster.up(places, _alone(arguments))
            print(places.kubeconfig)
        case "down":
            cluster.down(places, purge=arguments.purge)
            say(f"cluster {places.name!r} is down")
        case "status":
            return 0 if cluster.status() else 1
        case "kubeconfig":
            if not places.kubeconfig.exists():
                raise ClusterError(f"cluster {places.name!r} is not up: `python3 hack/cluster up`")
            print(places.kubeconfig)
        case "stop":
            cluster.stop(places, arguments.program)
        case "start":
            cluster.start(places, arguments.program)
        case "snapshot":
            snapshot.save(places, arguments.file)
        case "restore":
            snapshot.restore(places, arguments.file)
        case "load":
            images.load(places, arguments.archive, arguments.ref)
        case "images":
            print("\n".join(images.refs(places)))
        case "gpu":
            gpu.advertise(places, arguments.count, arguments.product)
        case "volumes":
            kind = arguments.storage_class or ("tmpfs" if arguments.tmpfs else "local")
            volumes.offer(places, arguments.count, arguments.size, kind, arguments.tmpfs)
        case "tool":
            print(binaries.binary(arguments.program))
        case "install":
            packages.install(arguments.program)
        case "build":
            for module in binaries.MODULES_BUILT:
                print(binaries.built(module))
    return 0


def _alone(arguments: argparse.Namespace) -> Alone | None:
    """The control plane that is asked for, or None where a node is."""
    stages = arguments.stages and arguments.stages.resolve()
    alone = Alone(arguments.kwok, stages, arguments.kueue)
    if stages and not (alone.nodes and stages.exists()):
        why = "goes with --kwok" if stages.exists() else "does not exist"
        raise ClusterError(f"--stages {stages} {why}")
    if arguments.control_plane:
        return alone
    if alone.clients():
        raise ClusterError("--kwok and --kueue go with --control-plane")
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 hack/cluster", description=__doc__)
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="olive", help="which cluster (default: olive)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what, parents=[named])

    up = command("up", "bring a cluster up; the last line of stdout is its kubeconfig's path")
    up.add_argument("--control-plane", action="store_true", help="without a node: needs no root")
    up.add_argument(
        "--kwok", type=int, default=0, metavar="NODES", help="so many nodes played by kwok"
    )
    up.add_argument(
        "--stages",
        type=Path,
        metavar="PATH",
        help="what kwok does with their pods: Stage objects (default: they run at once, and "
        "those of Jobs succeed)",
    )
    up.add_argument("--kueue", action="store_true", help="Kueue, for Jobs")
    down = command("down", "take a cluster down and remove what it left")
    down.add_argument("--purge", action="store_true", help="the node's image content as well")
    command("status", "tell of every cluster and its processes")
    command("kubeconfig", "print the path of the kubeconfig")
    for verb, what in (
        ("stop", "kill one program of a cluster, as a crash would"),
        ("start", "start it again as it was"),
    ):
        command(verb, what).add_argument("program", choices=cluster.PROGRAMS)
    for verb, what in (
        ("snapshot", "save etcd's data"),
        ("restore", "bring it back, and start etcd and the API server with it"),
    ):
        command(verb, what).add_argument("file", type=Path)
    load = command("load", "import an image, unless it is there")
    load.add_argument("archive", type=Path, help="an OCI archive or an OCI layout folder")
    load.add_argument("ref", help="its full name, docker.io/… included")
    command("images", "list the images on the node")
    gpus = command("gpu", "let the node advertise GPUs (0: none)")
    gpus.add_argument("count", type=int)
    gpus.add_argument("--product", help="value of the label nvidia.com/gpu.product")
    pool = command("volumes", "see to it that so many local volumes are free")
    pool.add_argument("count", type=int)
    pool.add_argument("--size", default="100Gi", help="capacity to advertise (default: 100Gi)")
    pool.add_argument("--class", dest="storage_class", metavar="NAME", help="their StorageClass")
    pool.add_argument("--tmpfs", default="", metavar="SIZE", help="in memory, and truly this big")
    tool = command("tool", "print the path of a program, built if need be")
    tool.add_argument("program", choices=binaries.PROGRAMS)
    package = command("install", "install Debian's package of a command, unless it is there")
    package.add_argument("program", choices=packages.PACKAGES)
    command("build", "build every program")
    return parser
