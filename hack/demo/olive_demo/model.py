"""The tiny model and its data, made in the cluster by examples/travel-tiny."""

import hashlib
import json
import os
import time
from typing import Any

from olive_demo.install import DEMO, MARK
from olive_demo.shell import BUILD, ROOT, DemoError, Tell
from olive_demo.target import Target

EXAMPLE = ROOT / "examples" / "travel-tiny"
JOB = "travel-tiny-make-model"
PATIENCE = 900.0
POLL = 2.0


def make(target: Target, image: str, tell: Tell) -> None:
    """Make the model, unless it was made by just this before."""
    manifests = _rendered(target, image)
    content = hashlib.sha256(manifests.encode()).hexdigest()[:16]
    before = _get(target, "job", JOB)
    if before and before["metadata"].get("annotations", {}).get(MARK) == content:
        tell("the model was made before")
    else:
        if before:  # the template of a Job cannot be changed
            target.kubectl("delete", "job", JOB, "-n", DEMO, "--wait")
        target.kubectl("apply", "-n", DEMO, "-f", "-", stdin=manifests)
        target.kubectl("annotate", "job", JOB, "-n", DEMO, f"{MARK}={content}")
    _wait(target, tell)


def _rendered(target: Target, image: str) -> str:
    """The example's manifests with the image that was built."""
    overlay = BUILD / "travel-tiny"
    overlay.mkdir(parents=True, exist_ok=True)
    name, _, tag = image.rpartition(":")
    kustomization = {
        "resources": [os.path.relpath(EXAMPLE, overlay)],
        "images": [{"name": "olive-operator/stage", "newName": name, "newTag": tag}],
    }
    (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
    return target.kubectl("kustomize", overlay)


def _wait(target: Target, tell: Tell) -> None:
    """Until the Job is complete, with its pod's state and last words on the way."""
    deadline = time.monotonic() + PATIENCE
    last = ""
    while time.monotonic() < deadline:
        job = _get(target, "job", JOB) or {}
        for condition in job.get("status", {}).get("conditions", []):
            if condition["status"] == "True" and condition["type"] == "Complete":
                return
            if condition["status"] == "True" and condition["type"] == "Failed":
                why = f"job {DEMO}/{JOB} failed: {condition['message']}"
                raise DemoError(why, _log(target, 20))
        if (now := _state(target)) and now != last:
            tell(now)
            last = now
        time.sleep(POLL)
    why = f"job {DEMO}/{JOB} is not done after {PATIENCE:.0f} s: {last}"
    raise DemoError(why, _log(target, 20))


def _state(target: Target) -> str:
    """What the Job's pod does, in a line."""
    selector = f"--selector=batch.kubernetes.io/job-name={JOB}"
    pods = json.loads(target.kubectl("get", "pods", "-n", DEMO, selector, "-o", "json"))["items"]
    if not pods:
        return "no pod yet"
    status = pods[-1]["status"]
    if status["phase"] != "Pending":
        return _log(target, 1)
    for container in status.get("containerStatuses", []):
        if waiting := container["state"].get("waiting"):
            return f"{waiting['reason']} {waiting.get('message', '')}".strip()
    return "; ".join(c.get("message", "") for c in status.get("conditions", []) if "message" in c)


def _log(target: Target, lines: int) -> str:
    try:
        return target.kubectl("logs", f"job/{JOB}", "-n", DEMO, f"--tail={lines}").strip()
    except DemoError:
        return ""


def _get(target: Target, kind: str, name: str) -> dict[str, Any] | None:
    flags = ("--ignore-not-found", "-o", "json")
    found = target.kubectl("get", kind, name, "-n", DEMO, *flags)
    return json.loads(found) if found else None
