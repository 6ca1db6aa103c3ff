"""The images, built and brought to where the target's pods run."""

import json
import os
import sys

from olive_demo.shell import ROOT, DemoError, Tell, call
from olive_demo.target import NAME, Target

IMAGES = (sys.executable, ROOT / "hack" / "images")


def build(target: Target, tell: Tell) -> None:
    """Build what is not built yet; DemoError if there is no way to bring it to the nodes."""
    if not (target.own or os.environ.get("REGISTRY") or target.context.startswith("kind-")):
        raise DemoError(
            f"{target}: its nodes cannot be given images; set REGISTRY to a registry that "
            "they pull from, or CONTEXT=kind-NAME for a kind cluster"
        )
    call([*IMAGES, "build"], "images", tell=tell)


def load(target: Target, tell: Tell) -> dict[str, str]:
    """Bring them to the nodes (or push them to REGISTRY); their full names."""
    name = NAME if target.own else target.context.removeprefix("kind-")
    call([*IMAGES, "load", "--name", name or NAME], "images", tell=tell)
    refs: dict[str, str] = json.loads(call([*IMAGES, "refs", "--json"], "images"))
    return refs
