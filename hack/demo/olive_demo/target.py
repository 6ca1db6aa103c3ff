"""Which cluster: the one of hack/cluster, or the user's own by KUBECONFIG or CONTEXT."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from olive_cli.cluster.connection import Cluster

from olive_demo.shell import ROOT, DemoError, Tell, call

CLUSTER = (sys.executable, ROOT / "hack" / "cluster")
NAME = "olive"


@dataclass(frozen=True)
class Target:
    """A cluster and the programs to speak to it with; ``own``: hack/cluster's, ours to remove."""

    own: bool
    kubeconfig: str
    context: str
    kubectl_program: str = "kubectl"
    helm_program: str = "helm"

    def kubectl(
        self, *arguments: str | Path, stdin: str | None = None, log: str = "kubectl"
    ) -> str:
        """What kubectl answers; DemoError if it fails."""
        flags = [f"--context={self.context}"] if self.context else []
        return call([self.kubectl_program, *flags, *arguments], log, stdin=stdin, env=self._env)

    def helm(self, *arguments: str | Path) -> str:
        """What helm answers; DemoError if it fails."""
        flags = [f"--kube-context={self.context}"] if self.context else []
        return call([self.helm_program, *flags, *arguments], "helm", env=self._env)

    def cluster(self, namespace: str) -> Cluster:
        """The same cluster for olive_cli."""
        found = Cluster.connect(
            self.kubeconfig if self.own else None, self.context or None, namespace
        )
        return replace(found, kubectl=(self.kubectl_program, *found.kubectl[1:]))

    @property
    def _env(self) -> Mapping[str, str]:
        return {"KUBECONFIG": self.kubeconfig} if self.own else {}

    def __str__(self) -> str:
        if self.own:
            return f"the cluster of hack/cluster (export KUBECONFIG={self.kubeconfig})"
        where = self.kubeconfig or "the default kubeconfig"
        return f"context {self.context or '(current)'} of {where}"


def chosen(environment: Mapping[str, str]) -> Target:
    """The user's cluster if the environment names one, ours otherwise."""
    kubeconfig, context = environment.get("KUBECONFIG", ""), environment.get("CONTEXT", "")
    own = not context and kubeconfig in ("", _own_kubeconfig())
    return Target(own, kubeconfig, context)


def up(target: Target, tell: Tell) -> Target:
    """The target, up, with the programs to use it."""
    if target.own:
        tell("bringing up a one-node Kubernetes (on a new machine it is compiled first: minutes)")
        said = call([*CLUSTER, "up", "--name", NAME], "cluster", tell=tell)
        target = replace(
            target, kubeconfig=said.split()[-1], kubectl_program=_tool("kubectl", tell)
        )
    target = replace(target, helm_program=_helm(target, tell))
    try:
        target.kubectl("version")
    except DemoError as error:
        raise DemoError(f"{target} does not answer", error.log) from None
    tell(f"using {target}")
    return target


def _helm(target: Target, tell: Tell) -> str:
    """The user's helm for the user's cluster; ours if there is none."""
    return "helm" if not target.own and shutil.which("helm") else _tool("helm", tell)


def _tool(program: str, tell: Tell) -> str:
    return call([*CLUSTER, "tool", program], "cluster", tell=tell).strip()


def _own_kubeconfig() -> str:
    command: Sequence[str | Path] = [*CLUSTER, "kubeconfig", "--name", NAME]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    return done.stdout.strip() if done.returncode == 0 else ""
