"""Azure as the cluster's pods reach it: the stand-in of tests/stage/azure_cloud, on this machine.

It is asked through a proxy at the machine's end of the cable to the cluster's network.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import ROOT

from .cluster import Cluster
from .release import Release

MACHINE = "10.245.0.1"
"""Where hack/cluster has the machine, as pods see it."""
PYTHON = ROOT / "images" / "stage" / ".venv" / "bin" / "python"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
PLACE = {"subscription": SUBSCRIPTION, "resourceGroup": "lab", "workspace": "team"}
ACCOUNT = "publisher"
"""The ServiceAccount that the federated credential names."""


@dataclass(frozen=True)
class Azure:
    """The running stand-in."""

    process: "subprocess.Popen[str]"
    told: dict[str, Any]

    @property
    def identity(self) -> dict[str, str]:
        """``spec.azure`` of a job that it knows."""
        client, tenant = self.told["client"], self.told["tenant"]
        return {"clientID": client, "tenantID": tenant, "serviceAccountName": ACCOUNT}

    def versions(self, model: str) -> dict[str, Any]:
        """The properties of the model's versions, by their numbers."""
        found = self._asked()["versions"].get(model, {})
        return {number: body["properties"] for number, body in found.items()}

    def secrets(self) -> list[str]:
        """Keys and tokens that were shown or given out so far."""
        return list(self._asked()["secrets"])

    def _asked(self) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return _line(self.process)


@contextmanager
def azure(cluster: Cluster, folder: Path) -> Iterator[Azure]:
    """The stand-in, which knows the cluster's ServiceAccount, and the operator that knows it."""
    keys = folder / "jwks.json"
    keys.write_text(cluster.run_kubectl("get", "--raw", "/openid/v1/jwks"))
    issuer = json.loads(cluster.run_kubectl("get", "--raw", "/.well-known/openid-configuration"))
    subject = f"system:serviceaccount:{cluster.namespace}:{ACCOUNT}"
    command = [PYTHON, ROOT / "tests/stage/azure_cloud", MACHINE, keys, issuer["issuer"], subject]
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        told = _line(process)
        cluster.apply(_config_map(told["ca"]), _service_account())
        with _told_to_the_operator(cluster, folder, told["env"]):
            yield Azure(process, told)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(60)


def _line(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the stand-in of Azure has ended"
    found: dict[str, Any] = json.loads(line)
    return found


@contextmanager
def _told_to_the_operator(cluster: Cluster, folder: Path, env: dict[str, str]) -> Iterator[None]:
    """Other tests' jobs have no such authority: the release is as it was afterwards."""
    release, chart = Release.at(cluster.kubeconfig), ROOT / "charts" / "olive-operator"
    before, values = folder / "before.json", folder / "values.json"
    before.write_text(json.dumps(release.values()))
    values.write_text(json.dumps({"egress": {"env": env, "caConfigMap": "azure-ca"}}))
    release.upgrade(chart, f"--values={values}")
    try:
        yield
    finally:
        release.put(chart, before)


def _config_map(authority: str) -> dict[str, Any]:
    meta = {"name": "azure-ca"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta,
        "data": {"ca.crt": authority},
    }


def _service_account() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}
