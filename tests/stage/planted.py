"""Artifacts that no fetch stage has looked at: what a stage must see for itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import Lab

from olive_contract.artifact import Artifact, describe


def plant(lab: Lab, key: str, make: Callable[[Path], Any], **about: Any) -> str:
    """An artifact of this key whose files ``make`` writes, and that says ``about`` of itself."""
    with lab.store.building(key) as out:
        make(out)
        files = describe(out)
        artifact = Artifact(key, kind="fetch", params={}, inputs={}, files=files, about=about)
        lab.store.commit(out, artifact)
    return key
