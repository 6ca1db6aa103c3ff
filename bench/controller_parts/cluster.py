"""The control plane of a measurement, with nodes that kwok plays, and what is prepared in it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from machine import ROOT

from controller_parts import jobs
from controller_parts.jobs import Manifest
from controller_parts.program import Program

NAME: Final = "bench-controller"
NODES: Final = 5
SYSTEM: Final = "olive-system"
OPERATOR, CLIENT = "olive-operator", "bare-client"
"""Service accounts: of the operator, and of the client that it is compared with."""


class Cluster:
    """Up between ``with`` and its end. ``places``: how many pods run at a time at most."""

    def __init__(self, folder: Path, crds: Path, longest_s: float, places: int) -> None:
        self._folder, self._crds, self._longest_s = folder, crds, longest_s
        self._places = places

    def __enter__(self) -> "Cluster":
        stages = self._folder / "stages.yaml"
        stages.write_text(yaml.safe_dump_all(jobs.played(self._longest_s)))
        options = ["--control-plane", "--kwok", str(NODES), "--stages", str(stages)]
        _hack("down", "--name", NAME)  # what a bench that was killed may have left
        self.kubeconfig = Path(_hack("up", *options, "--name", NAME))
        self._kubectl = [_hack("tool", "kubectl"), f"--kubeconfig={self.kubeconfig}"]
        _hack("stop", "scheduler", "--name", NAME)
        self._prepare()
        nodes = ",".join(node["metadata"]["name"] for node in self.listed("nodes"))
        self._binder = Program("binder", str(self.kubeconfig), str(self._places), nodes)
        return self

    def __exit__(self, *_: object) -> None:
        self._binder.end()
        _hack("down", "--name", NAME)

    @property
    def audit_log(self) -> Path:
        return self.kubeconfig.parent / "logs" / "audit.log"

    def pids(self) -> dict[str, int]:
        """Of the control plane's programs, by name."""
        found, ours = {}, False
        for line in _hack("status", check=False, whole=True).splitlines():
            if not line.startswith(" "):
                ours = line.startswith(f"{NAME}:")
            elif ours:
                name, pid = line.split(maxsplit=1)
                if pid.isdigit():
                    found[name] = int(pid)
        return {**found, "binder": self._binder.pid}

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """As the administrator: what it prints."""
        return _run([*self._kubectl, *arguments], stdin)

    def listed(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of a kind that the labels select, in all namespaces."""
        which = ["--all-namespaces", f"--selector={selector}"]
        text = self.kubectl("get", kind, *which, "--output=json")
        found: list[Manifest] = json.loads(text)["items"]
        return found

    def kubeconfig_of(self, account: str) -> Path:
        """The kubeconfig of a service account, which the API server serves as any other client.

        An administrator's requests would pass by its priority levels.
        """
        token = self.kubectl("create", "token", account, f"--namespace={SYSTEM}", "--duration=12h")
        whole: dict[str, Any] = yaml.safe_load(self.kubeconfig.read_text())
        for user in whole["users"]:
            user["user"] = {"token": token.strip()}
        path = self._folder / f"{account}.kubeconfig"
        path.write_text(yaml.safe_dump(whole))
        path.chmod(0o600)
        return path

    def _prepare(self) -> None:
        rooms = (*jobs.NAMESPACES, jobs.BARE)
        spaces = [_namespace(name) for name in (*rooms, SYSTEM)]
        self._apply([*spaces, *map(jobs.store, rooms), *_accounts()])
        crds = f"--filename={self._crds}"
        self.kubectl("apply", "--server-side", crds)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", crds)

    def _apply(self, manifests: list[Manifest]) -> None:
        whole = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(whole))


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _accounts() -> list[Manifest]:
    accounts = [{"name": name, "namespace": SYSTEM} for name in (OPERATOR, CLIENT)]
    return [
        *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta} for meta in accounts),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "bench"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "ServiceAccount", **account} for account in accounts],
        },
    ]


def _hack(*arguments: str, check: bool = True, whole: bool = False) -> str:
    text = _run([sys.executable, str(ROOT / "hack" / "cluster"), *arguments], check=check)
    return text if whole else (text.splitlines() or [""])[-1]


def _run(command: list[str], stdin: str | None = None, check: bool = True) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"`{' '.join(command[:4])} …` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
