"""Every phase that a job can be found in, and what its readers are to make of it.

kstatus has no word for what is suspended. ``InProgress`` is the one that is not wrong: nothing has
failed, and whoever waits for the job (Flux, ``kubectl wait``) goes on waiting until it is resumed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Phase:
    """``offered``: the actions beside suspend, or resume where the job is suspended."""

    name: str
    health: str
    kstatus: str
    failed: bool = False
    suspended: bool = False

    @property
    def ready(self) -> bool:
        return self.health == "Healthy"

    @property
    def offered(self) -> frozenset[str]:
        last = "resume" if self.suspended else "suspend"
        return frozenset({"retry", last} if self.failed else {last})

    @property
    def file(self) -> Path:
        return RECORDED / f"{self.name}.yaml"


ALL = (
    Phase("new", "Progressing", "InProgress"),
    Phase("edited", "Progressing", "InProgress"),
    Phase("pending", "Progressing", "InProgress"),
    Phase("running", "Progressing", "InProgress"),
    Phase("retrying", "Progressing", "InProgress", failed=True),
    Phase("serving-starting", "Progressing", "InProgress"),
    Phase("suspended", "Suspended", "InProgress", suspended=True),
    Phase("completed", "Healthy", "Current"),
    Phase("completed-suspended", "Healthy", "Current", suspended=True),
    Phase("serving", "Healthy", "Current"),
    Phase("failed", "Degraded", "Failed", failed=True),
    Phase("gate-missed", "Degraded", "Failed"),
    Phase("refused", "Degraded", "Failed"),
)


def recorded(phase: Phase) -> dict[str, Any]:
    """The object as a real operator has left it at a real API server."""
    found: dict[str, Any] = yaml.safe_load(phase.file.read_text())
    return found


def record(phase: Phase, obj: dict[str, Any]) -> None:
    """Write what is recorded anew, where UPDATE_GOLDEN asks for it."""
    if os.environ.get("UPDATE_GOLDEN"):
        metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
        RECORDED.mkdir(exist_ok=True)
        phase.file.write_text(yaml.safe_dump({**obj, "metadata": metadata}, width=1000))
