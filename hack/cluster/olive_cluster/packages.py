"""Debian's packages: those that a command of ours needs and the machine lacks."""

import os
import shutil

from olive_cluster.places import CACHE, locked
from olive_cluster.shell import ClusterError, run, say

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "chromium": "chromium",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}
"""Debian's package for each command (or file) that may be missing on a fresh machine."""


def install(*commands: str) -> None:
    """Install the packages of those commands that this machine lacks; one installs at a time."""
    if not _missing(commands):
        return
    with locked(CACHE / "apt"):
        missing = _missing(commands)  # by now, somebody else may have installed them
        if missing:
            _install(missing)


def _missing(commands: tuple[str, ...]) -> list[str]:
    return [command for command in commands if shutil.which(command) is None]


def _install(missing: list[str]) -> None:
    packages = sorted({PACKAGES[command] for command in missing})
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ClusterError(
            f"missing {', '.join(missing)}: install the packages (as Debian names them) "
            + " ".join(packages)
        )
    say(f"installing {' '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-qq", "update"], env=quiet)
    run(["apt-get", "-qq", "install", "--no-install-recommends", "-y", *packages], env=quiet)
