"""What an Artifact's body says, as a person is to see it, and what a job refers to: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from olive_cli.job.view import Body
from olive_cli.terminal import spoken
from olive_operator import records

SHORT = 12
"""Characters of a key that tell it from others."""


@dataclass(frozen=True)
class Stored:
    """The record of an artifact. ``unused``: since when nothing has referred to it."""

    stage: str
    job: str
    claim: str
    key: str
    size: int
    seconds: float
    gpu_seconds: float
    unused: datetime | None

    @property
    def cost(self) -> str:
        if self.gpu_seconds:
            return spoken.gpu_time(self.gpu_seconds)
        return spoken.duration(self.seconds) if self.seconds else ""


def stored(body: Body) -> Stored:
    """Of an Artifact."""
    spec = body["spec"]
    return Stored(
        stage=spec.get("stage") or spec["kind"],
        job=spec.get("job", ""),
        claim=spec["claim"],
        key=spec["key"],
        size=spec.get("sizeBytes", 0),
        seconds=spec.get("seconds", 0.0),
        gpu_seconds=spec.get("gpuSeconds", 0),
        unused=records.stored(body).unusedSince,
    )


def referred(job: Body) -> set[tuple[str, str]]:
    """The claims and keys of what a job refers to, by its status, as the operator sees it."""
    status = job.get("status") or {}
    claim, serving = status.get("claim", ""), status.get("serving") or {}
    keys = {(claim, s.get(f, "")) for s in status.get("stages") or [] for f in ("key", "address")}
    loaded = [serving.get("model", ""), *(a["key"] for a in serving.get("adapters") or [])]
    return {*keys, *((serving.get("claim", ""), key) for key in loaded)}


def total(found: Sequence[Stored]) -> str:
    """Number and size of all, and of those that are unused."""
    unused = [one for one in found if one.unused]
    whole = f"{spoken.count(len(found), 'artifact')}, {spoken.size(sum(a.size for a in found))}"
    if not unused:
        return f"{whole}; all are referred to"
    return f"{whole}; {len(unused)} unused, {spoken.size(sum(a.size for a in unused))}"
