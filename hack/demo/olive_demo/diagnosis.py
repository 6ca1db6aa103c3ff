"""After a failure: what the operator, the pods and the events say, as far as they can be asked."""

import json
from collections.abc import Iterator
from typing import Any

from olive_demo.install import DEMO, RELEASE, SYSTEM
from olive_demo.shell import BUILD, ROOT, DemoError
from olive_demo.target import Target


def diagnosis(target: Target) -> str:
    """Everything worth reading, under headings, and what to look at next."""
    parts = [f"{title}\n{_indented(text)}" for title, text in _findings(target) if text.strip()]
    parts.append(
        f"To look at, in {target}:\n"
        f"  {BUILD.relative_to(ROOT)}/*.log\n"
        f"  kubectl get olive,pods,events -n {DEMO}\n"
        f"  kubectl logs -n {SYSTEM} deployment/{RELEASE}"
    )
    return "\n\n".join(parts)


def _findings(target: Target) -> Iterator[tuple[str, str]]:
    operator = ("logs", f"deployment/{RELEASE}", "-n", SYSTEM, "--tail=20")
    yield "The operator's last words:", _said(target, *operator)
    for namespace in (SYSTEM, DEMO):
        for pod in _items(target, "pods", namespace):
            if trouble := _trouble(pod):
                name = pod["metadata"]["name"]
                log = _said(target, "logs", name, "-n", namespace, "--tail=15")
                yield f"Pod {namespace}/{name}: {trouble}", log or "(no log)"
        yield f"Warnings in {namespace}, the latest last:", _warnings(target, namespace)


def _warnings(target: Target, namespace: str) -> str:
    events = [e for e in _items(target, "events", namespace) if e["type"] == "Warning"]
    events.sort(key=lambda e: e.get("lastTimestamp") or e["metadata"]["creationTimestamp"])
    return "\n".join(
        f"{e['involvedObject']['kind']}/{e['involvedObject']['name']}: {e['message']}"
        for e in events[-8:]
    )


def _trouble(pod: dict[str, Any]) -> str:
    """Why a pod is not well; empty if it is, or has done its work."""
    status = pod["status"]
    for container in status.get("containerStatuses", []):
        if waiting := container["state"].get("waiting"):
            return f"{waiting['reason']} {waiting.get('message', '')}".strip()
        ended = container["state"].get("terminated")
        if ended and ended.get("exitCode"):
            return f"exit code {ended['exitCode']} ({ended.get('reason', '')})"
        if not container["ready"] and not ended:
            return "not ready"
    if status["phase"] == "Pending":
        told = [c["message"] for c in status.get("conditions", []) if c.get("message")]
        return "pending: " + "; ".join(told)
    return ""


def _items(target: Target, kind: str, namespace: str) -> list[dict[str, Any]]:
    said = _said(target, "get", kind, "-n", namespace, "-o", "json")
    found: list[dict[str, Any]] = json.loads(said)["items"] if said else []
    return found


def _said(target: Target, *arguments: str) -> str:
    try:
        return target.kubectl(*arguments, log="diagnosis")
    except DemoError:
        return ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())
