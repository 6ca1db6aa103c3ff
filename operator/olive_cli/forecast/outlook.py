"""What a new spec would run: by the operator's own graph, keys and needs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from olive_cli.forecast import changed
from olive_cli.forecast.planned import Planned, known_stages, planned, recorded
from olive_cli.job.view import Body
from olive_operator.api.seen import JobSeen, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State, Status
from olive_operator.plan.graph import claim_of
from olive_operator.plan.needs import needed, present


class Fate(StrEnum):
    """What would become of a stage."""

    CACHED = "cached"
    NOT_NEEDED = "not needed"
    FAILED = "stays failed"
    SHARED = "shared"
    GOES_ON = "goes on"
    RUNS = "runs"
    UNKNOWN = "runs (unless its content is known)"

    @property
    def runs(self) -> bool:
        """Whether an attempt would be made for it."""
        return self in (Fate.RUNS, Fate.UNKNOWN)


@dataclass(frozen=True)
class Outlook:
    """A stage. ``seconds`` and ``gpu_seconds``: of what was made last in its place, if known."""

    name: str
    fate: Fate
    why: str = ""
    gpu: bool = False
    seconds: float | None = None
    gpu_seconds: float | None = None


def forecast(before: Body | None, after: Body, artifacts: Sequence[Body]) -> list[Outlook]:
    """Every stage of the spec that would be. ``artifacts``: those of the namespace."""
    status = (before or {}).get("status") or {}
    sources = {s["request"]: s["key"] for s in status.get("sources") or []}
    would = planned(after, sources)
    was = planned(before, sources) if before else None
    claim = claim_of(would.spec)
    there = {a.key: a for a in map(recorded, artifacts) if a.claim == claim}
    known = known_stages(status) if status.get("claim") in (None, "", claim) else {}
    view = _View(was, would, known, {b["spec"]["key"]: b["spec"] for b in artifacts})
    job = JobSeen("", "", "", 0, would.spec, Status(stages=tuple(known.values())))
    seen = Seen(job, artifacts=there)
    run = needed(list(would.stages.values()), would.addresses, seen)
    makers: dict[str, str] = {}
    found = []
    for name in would.stages:
        address = would.addresses[name]
        if present(address, seen):
            found.append(Outlook(name, Fate.CACHED))
        elif name not in run:
            found.append(Outlook(name, Fate.NOT_NEEDED, "all that is made from it is there"))
        elif address and (maker := makers.setdefault(address.name, name)) != name:
            found.append(Outlook(name, Fate.SHARED, f"{maker} makes the same"))
        else:
            found.append(view.outlook(name))
    return found


@dataclass(frozen=True)
class _View:
    was: Planned | None
    would: Planned
    known: Mapping[str, StageStatus]
    artifacts: Mapping[str, Mapping[str, Any]]

    def outlook(self, name: str) -> Outlook:
        """Of a stage that has to be made."""
        stage, address = self.would.stages[name], self.would.addresses[name]
        known = self.known.get(name)
        same = known if known and address and known.address == address.name else None
        if same and same.state == State.FAILED:
            why = f"{same.reason}; an edit elsewhere changes nothing, a retry does"
            return Outlook(name, Fate.FAILED, why, stage.gpu)
        if same and same.state == State.RUNNING:
            return Outlook(name, Fate.GOES_ON, "its attempt is under way", stage.gpu)
        fate = Fate.RUNS if address else Fate.UNKNOWN
        seconds, gpu_seconds = self._cost(name)
        why = self._why(stage, address, same)
        if known and known.state == State.RUNNING and not same:
            why = f"{why}; its attempt under way is ended"
        return Outlook(name, fate, why, stage.gpu, seconds, gpu_seconds)

    def _why(self, stage: Stage, address: Address | None, same: StageStatus | None) -> str:
        before = self.was.stages.get(stage.name) if self.was else None
        if self.was is None or before is None:
            return "new"
        old = self.was.addresses
        if claim_of(self.was.spec) != claim_of(self.would.spec):
            return f"another store: claim {claim_of(self.would.spec)}"
        told = changed.params(before, stage)
        told = told or changed.inputs(before, stage, old, self.would.addresses)
        if told:
            return told
        if same and same.state == State.SUCCEEDED:
            return "its artifact is no longer in the store, and is read"
        return "not made yet" if address else "what it reads is not known yet"

    def _cost(self, name: str) -> tuple[float | None, float | None]:
        """What the stage of that name took last: by the artifact, or by the job's status."""
        old = self.was.addresses.get(name) if self.was else None
        record = self.artifacts.get(old.key) if old else None
        if record is not None:
            return record.get("seconds"), record.get("gpuSeconds")
        known = self.known.get(name)
        if known and known.state == State.SUCCEEDED and known.seconds:
            return known.seconds, known.gpuSeconds
        return None, None
