"""Where everything is: the cache shared by all clusters, and the folder of one cluster."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from olive_cluster.shell import ClusterError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "olive-operator"
BINARIES = CACHE / "bin"
CONTAINERD = CACHE / "containerd"
"""containerd's root: image content and snapshots, which outlive the cluster."""
CONTENT = CONTAINERD / "io.containerd.content.v1.content" / "blobs" / "sha256"
CLUSTERS = CACHE / "run"

MODULES = Path(__file__).resolve().parent.parent
"""The folder that holds one folder per Go module to build."""


@dataclass(frozen=True)
class Places:
    """The files of the cluster called `name`, all below `root`, which `down` deletes."""

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", self.name):
            raise ClusterError(
                f"cluster name {self.name!r}: use up to 40 lower-case letters, digits and '-'"
            )

    @property
    def root(self) -> Path:
        """The folder of this cluster; every process has it as its working directory."""
        return CLUSTERS / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def config(self) -> Path:
        """What the components read."""
        return self.root / "config"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        """One file per process: its pid and start time."""
        return self.root / "pids"

    @property
    def volumes(self) -> Path:
        """The data of the local PersistentVolumes."""
        return self.root / "volumes"

    @property
    def containerd_socket(self) -> Path:
        """containerd's socket: by its path it is reached from the machine as well."""
        return self.root / "containerd.sock"

    def make(self) -> None:
        """Make the folders; other users of the machine see nothing of them."""
        self.root.mkdir(parents=True, mode=0o700)
        for folder in (self.pki, self.config, self.logs, self.pids, self.volumes):
            folder.mkdir()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time do what `path` stands for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(path.name + ".lock")
    while True:
        with name.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever held it before has removed it: then this one guards nothing any more.
            if not name.exists() or os.fstat(lock.fileno()).st_ino != name.stat().st_ino:
                continue
            try:
                yield
            finally:
                name.unlink()
            return
