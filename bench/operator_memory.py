"""The operator's memory, while or after the demo runs.

    python bench/operator_memory.py [--limit-mb 120]

Asks the operator's pod that works (the one with the Lease), through kubectl, for what the kernel
knows of its only process: resident memory now, its highest since the start, and the control group's
peak, which counts the page cache as well. The cluster is that of KUBECONFIG, or hack/cluster's. A
table, then JSON in the last line; exit code 1 if the highest is above the limit.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from typing import Any

from machine import ROOT, keep

NAMESPACE = "olive-system"
SELECTOR = "app.kubernetes.io/name=olive-operator,app.kubernetes.io/component=operator"
FILES = ("/proc/1/status", "/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory.current")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit-mb", type=int, default=120)
    limit = parser.parse_args().limit_mb
    kubectl = _kubectl()
    pod = _pod(kubectl)
    told = _run([*kubectl, "exec", pod["metadata"]["name"], "--", "sh", "-c", _script()])
    found = {
        "residentMb": _kilobytes(told, "VmRSS"),
        "highestMb": _kilobytes(told, "VmHWM"),
        **_control_group(told),
        "restarts": pod["status"]["containerStatuses"][0]["restartCount"],
        "image": pod["spec"]["containers"][0]["image"],
        "jobs": _jobs(kubectl),
        "limitMb": limit,
    }
    for name, value in found.items():
        print(f"{name:24} {value}")
    keep("operator_memory", found)
    sys.exit(0 if found["highestMb"] <= limit else 1)


def _script() -> str:
    return "; ".join(f"echo {file}; cat {file} 2>/dev/null" for file in FILES) + "; true"


def _kilobytes(told: str, field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB", told, re.M)
    if found is None:
        sys.exit(f"the kernel tells no {field} of the operator: {told[:200]!r}")
    return round(int(found[1]) / 1000, 1)


def _control_group(told: str) -> dict[str, float]:
    """The control group's figures, where the kernel has them."""
    found = re.findall(r"^/sys/fs/cgroup/memory\.(\w+)\n(\d+)$", told, re.M)
    return {f"controlGroup{name.capitalize()}Mb": round(int(n) / 1e6, 1) for name, n in found}


def _kubectl() -> list[str]:
    cluster = [sys.executable, str(ROOT / "hack" / "cluster")]
    if os.environ.get("KUBECONFIG"):
        return ["kubectl", "--namespace", NAMESPACE]
    program = _run([*cluster, "tool", "kubectl"]).strip()
    kubeconfig = _run([*cluster, "kubeconfig"]).strip()
    return [program, f"--kubeconfig={kubeconfig}", "--namespace", NAMESPACE]


def _pod(kubectl: list[str]) -> dict[str, Any]:
    pods = json.loads(_run([*kubectl, "get", "pods", f"--selector={SELECTOR}", "-o", "json"]))
    if not pods["items"]:
        sys.exit(f"no operator runs in namespace {NAMESPACE}; `make demo` first")
    leases = json.loads(_run([*kubectl, "get", "leases.coordination.k8s.io", "-o", "json"]))
    if found := leading(pods["items"], leases["items"]):
        return found
    sys.exit(f"none of the operator's pods in namespace {NAMESPACE} has the Lease")


def leading(pods: list[dict[str, Any]], leases: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The pod that works; the others stand by and take less."""
    holders = {lease.get("spec", {}).get("holderIdentity") for lease in leases}
    return next((pod for pod in pods if pod["metadata"]["name"] in holders), None)


def _jobs(kubectl: list[str]) -> int:
    kind = "optimizationjobs.olive-operator.io"
    return len(_run([*kubectl, "get", kind, "--all-namespaces", "-o", "name"]).split())


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command[-6:])}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
