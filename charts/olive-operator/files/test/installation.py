"""Whether this release works, asked from inside the cluster; `helm test` runs it.

It works if the API server serves its kinds, every one of its pods is ready, and the one that holds
the Lease says that it leads, and no other does. Just after an installation that takes a moment.
"""

import json
import os
import ssl
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GROUP = "/apis/olive-operator.io/v1alpha1"
KINDS = {"optimizationjobs", "optimizationjobs/status", "artifacts"}
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE = 100.0

Get = Callable[[str], Any]
"""What the API server answers to a path."""
Read = Callable[[str], str]
"""What a URL in the cluster answers."""


@dataclass(frozen=True)
class Release:
    """Where its pods and its Lease are, and how many pods there have to be."""

    namespace: str
    selector: str
    lease: str
    replicas: int


def trouble(get: Get, read: Read, release: Release) -> str:
    """What is wrong, in a sentence; empty where all is well."""
    served = {kind["name"] for kind in get(GROUP)["resources"]}
    if missing := KINDS - served:
        return f"the API server does not serve {', '.join(sorted(missing))} of {GROUP}"
    own = f"namespaces/{release.namespace}"
    selector = urllib.parse.quote(release.selector)
    found = get(f"/api/v1/{own}/pods?labelSelector={selector}")["items"]
    pods = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    ready = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods if _ready(pod)}
    if len(ready) != release.replicas or len(pods) != release.replicas:
        return f"{len(ready)} of {len(pods)} pods are ready, and there are to be {release.replicas}"
    lease = get(f"/apis/coordination.k8s.io/v1/{own}/leases/{release.lease}")
    holder = lease["spec"].get("holderIdentity")
    leading = [name for name, address in ready.items() if _leads(read, address)]
    if leading != [holder]:
        return f"the Lease is held by {holder or 'nobody'}, and {leading or 'no pod'} leads"
    return ""


def _ready(pod: Any) -> bool:
    found = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
    return found.get("Ready") == "True"


def _leads(read: Read, address: str) -> bool:
    host = f"[{address}]" if ":" in address else address
    return "olive_leading 1.0" in read(f"http://{host}:8080/metrics").splitlines()


def _get(path: str) -> Any:
    host, port = (os.environ[f"KUBERNETES_SERVICE_{word}"] for word in ("HOST", "PORT"))
    host = f"[{host}]" if ":" in host else host
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(
        f"https://{host}:{port}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:  # noqa: S310
        return json.load(answer)


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return str(answer.read().decode())


def main() -> None:
    """Ask until all is well; exit code 1, with what is wrong, if it does not come to that."""
    namespace, selector, lease, replicas = sys.argv[1:]
    release = Release(namespace, selector, lease, int(replicas))
    deadline, said = time.monotonic() + PATIENCE, ""
    while True:
        try:
            wrong = trouble(_get, _read, release)
        except (OSError, KeyError, ValueError) as error:
            wrong = f"{type(error).__name__}: {error}"
        if not wrong:
            print("the operator works")
            return
        if wrong != said:
            print(wrong, flush=True)
            said = wrong
        if time.monotonic() > deadline:
            sys.exit(1)
        time.sleep(1)


if __name__ == "__main__":
    main()
