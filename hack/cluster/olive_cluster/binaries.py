"""The programs of a cluster, built from the Go module proxy and kept in the cache.

A folder with a go.mod and a go.sum pins each of them. The build is whole or not there: it is
made beside its place, whose name is the hash of all that went into it, and then renamed. What a
program wants applied to its cluster lies in its module as well, and is kept beside it.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from olive_cluster.places import BINARIES, MODULES, locked
from olive_cluster.shell import ClusterError, run, say

BUILD = ("-trimpath", "-mod=readonly", "-buildvcs=false")
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": ""}


@dataclass(frozen=True)
class Module:
    """One folder of programs: what to build, and the variables that hold its version.

    `manifests` names a file for each folder of the module `release` that kustomize makes it from.
    """

    folder: str
    programs: Mapping[str, str]
    release: str = ""
    stamps: tuple[str, ...] = ()
    manifests: Mapping[str, str] = field(default_factory=dict)

    def sources(self) -> list[Path]:
        """The files that decide what is built."""
        return sorted(p for p in (MODULES / self.folder).iterdir() if p.is_file())

    def version(self) -> str:
        """The version that go.mod pins for the module `release`."""
        text = (MODULES / self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*(?:require )?{re.escape(self.release)} (v\S+)", text, re.M)
        if found is None:
            raise ClusterError(f"hack/cluster/{self.folder}/go.mod requires no {self.release}")
        return found[1]

    def linker_flags(self) -> str:
        """Strip symbols; tell the programs their version as a release build does."""
        if not self.stamps:
            return "-s -w"
        version = self.version()
        major, minor = version.removeprefix("v").split(".")[:2]
        values = (s.format(version=version, major=major, minor=minor) for s in self.stamps)
        return " ".join(["-s -w", *(f"-X {value}" for value in values)])

    def key(self) -> str:
        """The name of the build: a hash of everything that went into it but Go itself."""
        digest = hashlib.sha256(repr((self.programs, BUILD, self.linker_flags())).encode())
        for manifest in self.manifests.items():
            digest.update(repr(manifest).encode())
        for source in self.sources():
            digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
        return digest.hexdigest()[:16]


_VERSION = "k8s.io/component-base/version."
KWOK = Module(
    "kwok",
    {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    "sigs.k8s.io/kwok",
    manifests={
        "node.yaml": "kustomize/stage/node/fast",
        "heartbeat.yaml": "kustomize/stage/node/heartbeat-with-lease",
        "pod.yaml": "kustomize/stage/pod/fast",
    },
)
KUEUE = Module(
    "kueue",
    {"kueue": "sigs.k8s.io/kueue/cmd/kueue"},
    "sigs.k8s.io/kueue",
    ("sigs.k8s.io/kueue/pkg/version.GitVersion={version}",),
    {"kueue.yaml": "config/default"},
)
MODULES_BUILT = (
    Module(
        "kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        },
        "k8s.io/kubernetes",
        (
            _VERSION + "gitVersion={version}",
            _VERSION + "gitMajor={major}",
            _VERSION + "gitMinor={minor}",
            _VERSION + "gitTreeState=clean",
        ),
    ),
    Module(
        "etcd",
        {
            "etcd": "go.etcd.io/etcd/server/v3",
            "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
            "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
        },
    ),
    Module("pause", {"pause": "."}),
    Module(
        "helm",
        {"helm": "helm.sh/helm/v3/cmd/helm"},
        "helm.sh/helm/v3",
        ("helm.sh/helm/v3/internal/version.version={version}",),
    ),
    KWOK,
    KUEUE,
    Module(
        "registry",
        {"registry": "github.com/distribution/distribution/v3/cmd/registry"},
        "github.com/distribution/distribution/v3",
        ("github.com/distribution/distribution/v3/version.version={version}",),
    ),
    Module("actionlint", {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"}),
    Module("kubeconform", {"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"}),
    Module("kube-score", {"kube-score": "github.com/zegl/kube-score/cmd/kube-score"}),
    Module("../../tests/gitops/judge", {"gitops-judge": "."}),
)
_MODULE_OF = {program: module for module in MODULES_BUILT for program in module.programs}
PROGRAMS = tuple(_MODULE_OF)


def binary(program: str) -> str:
    """The path of a program, built first where it has to be."""
    return str(built(_MODULE_OF[program]) / program)


def built(module: Module) -> Path:
    """The folder of a module's programs."""
    folder = BINARIES / module.key()
    if folder.is_dir():
        return folder
    with locked(folder):
        if not folder.is_dir():
            _build(module, folder)
    return folder


def _build(module: Module, folder: Path) -> None:
    if shutil.which("go") is None:
        raise ClusterError(
            f"building {module.folder} needs Go 1.21 or newer on PATH (it then fetches the "
            "version that go.mod asks for)"
        )
    say(f"building {', '.join(module.programs)} from the Go module proxy")
    beside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for program, package in module.programs.items():
        command = ["go", "build", *BUILD, "-ldflags", module.linker_flags()]
        done = subprocess.run(
            [*command, "-o", str(beside / program), package],
            cwd=MODULES / module.folder,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ClusterError(f"building {program} failed: {done.stderr.strip()[-2000:]}")
        say(f"built {program}")
    for name, source in module.manifests.items():
        rendered = run([binary("kubectl"), "kustomize", str(_source(module) / source)])
        (beside / name).write_text(rendered)
    beside.rename(folder)


def _source(module: Module) -> Path:
    command = ["go", "list", "-m", "-f", "{{.Dir}}", module.release]
    return Path(run(command, cwd=MODULES / module.folder, env=ENVIRONMENT).strip())
