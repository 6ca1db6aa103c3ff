"""The plan carried out with processes: look, plan, do, until nothing is left to do.

What the operator keeps in the cluster is kept here while the run lasts: its attempts, and which
artifacts are known to be in the store. What must outlive the run is in the store's folder.
"""

import time
from collections.abc import Callable, Collection, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from olive_cli.run.attempt import Attempt, Manifest
from olive_cli.run.machine import Machine
from olive_cli.run.manifest import Job
from olive_cli.run.place import Place
from olive_cli.run.schedule import Wanted, grant
from olive_cli.run.sources import Sources
from olive_contract.store import Store
from olive_operator import labels, names, records
from olive_operator.api.seen import ArtifactSeen, ClaimSeen, JobSeen, Seen
from olive_operator.api.status import UNDER_WAY, Status
from olive_operator.config import Config, Images, Retry
from olive_operator.plan import Plan, plan
from olive_operator.plan.graph import claim_of

CONFIG: Final = Config(
    Images(stage="", stageSlim="", serve=""), retry=Retry(limit=1, backoffSeconds=1)
)
"""A second try shows whether it was chance. No other node will be there for a third."""

LOOK_EVERY: Final = 0.25
"""Seconds; a child's end is noticed at once."""

GRACE: Final = 30.0
"""Seconds for a stage to end by itself, as in a pod."""

Wait = Callable[[float], None]


@dataclass(frozen=True)
class Work:
    """What is to be carried out: of the job, the stages in ``needed``."""

    job: Job
    needed: Collection[str]
    machine: Machine
    place: Place


class Carrier:
    """One run. ``status`` is the job's, as the plan has it, without the stages not needed."""

    def __init__(self, work: Work, sources: Sources, wait: Wait) -> None:
        self._work, self._sources, self._wait = work, sources, wait
        self._store = Store(work.place.store)
        self._claim = claim_of(work.job.spec)
        self._artifacts = artifacts(self._store, self._claim)
        self._status = Status(sources=sources.load())
        self.attempts: dict[str, Attempt] = {}

    @property
    def status(self) -> Status:
        stages = tuple(s for s in self._status.stages if s.name in self._work.needed)
        done = sum(s.state == "Succeeded" for s in stages)
        return replace(self._status, stages=stages, progress=f"{done}/{len(stages)}")

    def carry_out(self) -> Generator[Status]:
        """Every status until nothing goes on; leaves no process behind, however it ends."""
        try:
            while True:
                for attempt in self.attempts.values():
                    attempt.look(_now())
                found = plan(self._seen(), CONFIG, _now())
                self._status = found.status
                self._sources.keep(found.status.sources)
                begun = self._do(found)
                yield self.status
                if not any(s.state in UNDER_WAY for s in self.status.stages):
                    return
                if not begun:
                    self._wait(LOOK_EVERY)
        finally:
            self._end()

    def _seen(self) -> Seen:
        job, attempts = self._work.job, self.attempts.values()
        return Seen(
            job=JobSeen("", job.name, "", 1, job.spec, self._status),
            attempts=tuple(a.seen() for a in attempts),
            artifacts=self._artifacts,
            claims={claim_of(job.spec): ClaimSeen(claim_of(job.spec))},
            progress={a.name: a.progress for a in attempts if a.running and a.progress},
        )

    def _do(self, found: Plan) -> bool:
        """What the plan asks for, as far as there is room now; whether anything was begun."""
        lost = {ref.name for ref in found.delete if ref.kind == "Artifact"}
        self._artifacts = {k: a for k, a in self._artifacts.items() if a.name not in lost}
        for attempt in [self.attempts[r.name] for r in found.delete if r.name in self.attempts]:
            if attempt.waiting:
                self.attempts.pop(attempt.name).unlock()
            else:
                attempt.ask_to_end(_now())
        for manifest in found.create:
            if manifest["kind"] == "Job":
                self._add(manifest)
            elif manifest["kind"] == "Artifact":
                made = records.artifact(manifest)
                self._artifacts[made.key] = made
        return self._start()

    def _add(self, manifest: Manifest) -> None:
        if manifest["metadata"]["annotations"][labels.STAGE_NAME] in self._work.needed:
            resource = self._work.job.spec.gpu.resource
            attempt = Attempt(manifest, resource, self._work.place)
            self.attempts[attempt.name] = attempt

    def _start(self) -> bool:
        waiting = {a.name: a for a in self.attempts.values() if a.waiting and a.locked()}
        running = [a.granted for a in self.attempts.values() if a.running and a.granted]
        wanted = [Wanted(a.name, a.kind, a.gpus) for a in waiting.values()]
        granted = grant(wanted, running, self._work.machine)
        for one in granted:
            waiting[one.name].start(one, _now())
        return bool(granted)

    def _end(self) -> None:
        """Ask all stages to end, then make them; a second wish to stop makes them at once."""
        for attempt in self._running():
            attempt.ask_to_end(_now())
        deadline = time.monotonic() + GRACE
        try:
            while self._running() and time.monotonic() < deadline:
                self._wait(LOOK_EVERY)
        finally:
            for attempt in self._running():
                attempt.kill()
            while self._running():
                time.sleep(0.01)

    def _running(self) -> list[Attempt]:
        for attempt in self.attempts.values():
            attempt.look(_now())
        return [a for a in self.attempts.values() if a.running]


def artifacts(store: Store, claim: str) -> dict[str, ArtifactSeen]:
    """What is in the store, by key."""
    found = {}
    for path in store.root.glob("*/artifact.json"):
        with suppress(ValueError):  # a damaged one is not there: its stage makes it again
            if artifact := store.find(path.parent.name):
                name = names.artifact(claim, artifact.key)
                found[artifact.key] = ArtifactSeen(
                    name, claim, artifact.key, artifact.metrics, artifact.published
                )
    return found


def _now() -> datetime:
    return datetime.now(UTC)
