"""What to do about a job: one pure function from what is seen to everything that is wanted.

``plan`` returns the children to create, apply and delete, the whole status, the events, and when to
look again. The same plan, carried out, plans nothing the second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from olive_contract.serving import Serving
from olive_operator import build, labels, names
from olive_operator.api.seen import ArtifactSeen, Ref, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State, Status
from olive_operator.config import Config
from olive_operator.plan import serving as serve
from olive_operator.plan.graph import graph
from olive_operator.plan.keys import addresses
from olive_operator.plan.stages import Step, step
from olive_operator.plan.status import Event, events, status

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be done. ``create`` only what is absent; ``apply`` only what differs.

    ``again``: the instant at which to look again although nothing was seen to change.
    """

    status: Status
    create: tuple[Manifest, ...] = ()
    apply: tuple[Manifest, ...] = ()
    delete: tuple[Ref, ...] = ()
    events: tuple[Event, ...] = ()
    again: datetime | None = None


@dataclass(frozen=True)
class _Round:
    """One look at every stage, with the sources and artifacts that were known for it."""

    seen: Seen
    sources: Mapping[str, str]
    addresses: Mapping[str, Address | None]
    steps: Mapping[str, Step]


def claim_of(seen: Seen) -> str:
    """The claim with the job's store."""
    return seen.job.spec.storage.claim or names.DEFAULT_CLAIM


def plan(seen: Seen, config: Config, now: datetime) -> Plan:
    """Everything that is wanted for this job, given what is seen of it."""
    stages = graph(seen.job.spec)
    before = seen.job.status
    made: list[Manifest] = []
    found = _look(stages, _retried(seen), {s.request: s.key for s in before.sources}, config, now)
    while new := _found_out(stages, found, made, config):
        found = _look(stages, new.seen, new.sources, config, now)
    states = {name: step.status for name, step in found.steps.items()}
    what = serve.target(seen, states)
    serving = serve.status(seen, what)
    answers = what is not None and serving is not None and serve.answers(seen, what, serving)
    after = status(seen.job, list(states.values()), found.sources, serving, answers, now)
    return Plan(
        status=after,
        create=(*_claim(seen, config), *made, *_attempts(stages, found, config)),
        apply=_serving(seen, what, config),
        delete=(*_obsolete(found), *_lost(found), *_unserved(seen, what)),
        events=tuple(events(before, after)),
        again=min((s.again for s in found.steps.values() if s.again), default=None),
    )


def _retried(seen: Seen) -> Seen:
    """With failed stages due again, where the retry annotation has a new value."""
    job = seen.job
    if not job.retry or job.retry == job.status.retriedAt:
        return seen
    stages = tuple(
        replace(s, state=State.PENDING, failures=0, retryAt="") if s.failures else s
        for s in job.status.stages
    )
    return replace(seen, job=replace(job, status=replace(job.status, stages=stages)))


def _look(
    stages: tuple[Stage, ...],
    seen: Seen,
    sources: Mapping[str, str],
    config: Config,
    now: datetime,
) -> _Round:
    found = addresses(stages, sources)
    steps: dict[str, Step] = {}
    for stage in stages:
        steps[stage.name] = step(
            stage,
            found[stage.name],
            lambda name: steps[name].status.state == State.SUCCEEDED,
            seen,
            config,
            now,
        )
    return _Round(seen, sources, found, steps)


def _found_out(
    stages: tuple[Stage, ...], found: _Round, made: list[Manifest], config: Config
) -> _Round | None:
    """The round with what its reports have told, or None if they told nothing new."""
    sources, artifacts = dict(found.sources), dict(found.seen.artifacts)
    claim = claim_of(found.seen)
    for stage in stages:
        step, address = found.steps[stage.name], found.addresses[stage.name]
        if step.made is None or address is None:
            continue
        if step.source:
            sources.pop(address.name, None)
            sources[address.name] = step.source
        key = step.made.key
        if key not in artifacts:
            gpu_seconds = 0 if step.made.cached else step.status.gpuSeconds
            record = build.artifact(found.seen.job, stage, step.made, claim, gpu_seconds)
            made.append(record)
            artifacts[key] = ArtifactSeen(record["metadata"]["name"], claim, key)
    if sources == found.sources and artifacts == found.seen.artifacts:
        return None
    return replace(found, seen=replace(found.seen, artifacts=artifacts), sources=sources)


def _claim(seen: Seen, config: Config) -> tuple[Manifest, ...]:
    if seen.job.spec.storage.claim or seen.claimExists:
        return ()
    return (build.claim(seen.job, config),)


def _attempts(stages: tuple[Stage, ...], found: _Round, config: Config) -> list[Manifest]:
    """The attempts that must exist and are not seen."""
    there = {a.name for a in found.seen.attempts}
    wanted = []
    for stage in stages:
        number, address = found.steps[stage.name].start, found.addresses[stage.name]
        if number and address:
            wanted.append(
                build.attempt(found.seen.job, stage, address, number, claim_of(found.seen), config)
            )
    return [m for m in wanted if m["metadata"]["name"] not in there]


def _obsolete(found: _Round) -> list[Ref]:
    """Attempts of stages that the spec no longer asks for, running or not."""
    current = {name: a.name for name, a in found.addresses.items() if a}
    unknown = {name for name, a in found.addresses.items() if a is None}
    return [
        Ref("Job", a.name)
        for a in found.seen.attempts
        if current.get(a.stage) != a.address and a.stage not in unknown and not a.deleting
    ]


def _lost(found: _Round) -> list[Ref]:
    """What says that an artifact is there which a stage did not find on the volume.

    The attempt that made it goes first: its report would bring the record back.
    """
    artifacts = found.seen.artifacts
    keys = {s.lost for s in found.steps.values() if s.lost}
    makers = [
        Ref("Job", a.name)
        for a in found.seen.attempts
        if a.pod and a.pod.report and a.pod.report.key in keys
    ]
    return makers + [Ref("Artifact", artifacts[k].name) for k in sorted(keys) if k in artifacts]


def _serving(seen: Seen, what: Serving | None, config: Config) -> tuple[Manifest, ...]:
    if what is None:
        return ()
    manifests = build.serving(seen.job, what, claim_of(seen), config)
    return tuple(
        m
        for m in manifests
        if seen.applied.get(Ref(m["kind"], m["metadata"]["name"]))
        != m["metadata"]["annotations"][labels.APPLIED]
    )


def _unserved(seen: Seen, what: Serving | None) -> list[Ref]:
    """Children of a serving that is no longer wanted, or of the model that was served before."""
    if what is None:
        return list(seen.applied)
    if not serve.rolled_out(seen, what):
        return []
    config = names.serving_config(seen.job.name, what.model)
    return [ref for ref in seen.applied if ref.kind == "ConfigMap" and ref.name != config]


__all__ = ["Plan", "StageStatus", "claim_of", "plan"]
