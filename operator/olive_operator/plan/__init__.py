"""What to do about a job: one pure function from what is seen to everything that is wanted.

``plan`` returns the children to create, apply and delete, the whole status, the events, and when to
look again. The same plan, carried out, plans nothing the second time.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from olive_operator import build, records
from olive_operator.api.duration import parsed
from olive_operator.api.seen import ArtifactSeen, JobSeen, Ref, Seen
from olive_operator.api.stage import Stage
from olive_operator.api.status import StageStatus, State, Status
from olive_operator.config import Config
from olive_operator.plan import children, gates, needs, twins
from olive_operator.plan import serving as serve
from olive_operator.plan.children import Manifest, Round
from olive_operator.plan.clock import instant
from olive_operator.plan.graph import claim_of, graph
from olive_operator.plan.keys import addresses
from olive_operator.plan.pods import VOLUME_IN_USE
from olive_operator.plan.stages import Step, step
from olive_operator.plan.status import Event, events, status


@dataclass(frozen=True)
class Plan:
    """What is to be done. ``create`` only what is absent; ``apply`` only what differs.

    ``again``: the instant at which to look again although nothing was seen to change. ``waits``:
    the addresses and keys of other jobs' work that this plan would change with. ``expired``: the
    job itself is to be deleted.
    """

    status: Status
    create: tuple[Manifest, ...] = ()
    apply: tuple[Manifest, ...] = ()
    delete: tuple[Ref, ...] = ()
    events: tuple[Event, ...] = ()
    again: datetime | None = None
    waits: frozenset[str] = frozenset()
    expired: bool = False


def plan(seen: Seen, config: Config, now: datetime) -> Plan:
    """Everything that is wanted for this job, given what is seen of it."""
    stages = graph(seen.job.spec)
    before = seen.job.status
    made: list[Manifest] = []
    found = _look(
        stages, _retried(_moved(seen)), {s.request: s.key for s in before.sources}, config, now
    )
    while new := _found_out(stages, found, made, config):
        found = _look(stages, new.seen, new.sources, config, now)
    states = gates.judged(seen.job.spec, [step.status for step in found.steps.values()])
    target = serve.target(seen, states)
    serving = serve.status(seen, target)
    parts = children.serving(seen, target, config)
    apply = children.outdated(seen, parts)
    # What is yet to be applied nobody has seen roll out.
    answers = not apply and bool(
        target and serving and serve.answers(seen, target.serving, serving)
    )
    claim = children.claim(seen, config)
    after = status(
        seen.job,
        list(states.values()),
        found.sources,
        serving,
        answers,
        children.refused(seen, (*claim, *apply)),
        serve.unrouted(seen, config),
        now,
    )
    wanted = children.attempts(stages, found, config)
    expires = _expires(seen.job, after)
    return Plan(
        status=after,
        create=(*claim, *made, *children.absent(wanted, found)),
        apply=apply,
        delete=(
            *children.obsolete(wanted, found),
            *children.lost(found),
            *children.unserved(seen, target, parts),
        ),
        events=tuple(events(before, after)),
        again=min(
            (at for at in (expires, *(s.again for s in found.steps.values())) if at), default=None
        ),
        waits=_waits(found),
        expired=expires is not None and expires <= now,
    )


def _expires(job: JobSeen, after: Status) -> datetime | None:
    """When a job that has finished, and serves nothing, is to go."""
    if job.spec.ttlAfterFinished is None or job.spec.serve is not None or not after.finishedAt:
        return None
    return instant(after.finishedAt) + parsed(job.spec.ttlAfterFinished)


def _waits(found: Round) -> frozenset[str]:
    """What other jobs do that this plan would change with: addresses and keys of stages that are
    not done (others may make them, or sweep them), and the claim while it is busy."""
    open_ = [n for n, step in found.steps.items() if step.status.state != State.SUCCEEDED]
    known = (address for name in open_ if (address := found.addresses[name]))
    waits = {text for a in known for text in (a.name, a.key, *a.inputs.values()) if text}
    if any(found.steps[name].status.reason in VOLUME_IN_USE for name in open_):
        waits.add(claim_of(found.seen.job.spec))
    return frozenset(waits)


def _moved(seen: Seen) -> Seen:
    """With every stage to do again, where the spec has come to name another claim."""
    job = seen.job
    if job.status.claim in ("", claim_of(job.spec)):
        return seen
    stages = tuple(
        StageStatus(s.name, State.WAITING, gpuSeconds=s.gpuSeconds) for s in job.status.stages
    )
    return replace(seen, job=replace(job, status=replace(job.status, stages=stages)))


def _retried(seen: Seen) -> Seen:
    """With stages that failed, or wait for their retry, due now: the annotation has a new value."""
    job = seen.job
    if not job.retry or job.retry == job.status.retriedAt:
        return seen
    stages = tuple(
        replace(s, state=State.PENDING, failures=0, less=0, retryAt="")
        if (s.failures or s.retryAt) and s.state != State.SUCCEEDED
        else s
        for s in job.status.stages
    )
    return replace(seen, job=replace(job, status=replace(job.status, stages=stages)))


def _look(
    stages: tuple[Stage, ...],
    seen: Seen,
    sources: Mapping[str, str],
    config: Config,
    now: datetime,
) -> Round:
    found = addresses(stages, sources)
    needed = needs.needed(stages, found, seen)
    makers = twins.makers(stages, found, needed, seen)
    by_name = {stage.name: stage for stage in stages}

    @cache
    def of(name: str) -> Step:
        maker = makers.get(name, name)
        return step(
            by_name[name],
            found[name],
            name in needed,
            of,
            of(maker) if maker != name else None,
            seen,
            config,
            now,
        )

    return Round(seen, sources, found, {name: of(name) for name in by_name})


def _found_out(
    stages: tuple[Stage, ...], found: Round, made: list[Manifest], config: Config
) -> Round | None:
    """The round with what its reports have told, or None if they told nothing new."""
    sources: dict[str, str] = dict(found.sources)
    fresh: dict[str, ArtifactSeen] = {}
    known = found.seen.artifacts  # of the whole claim: there may be thousands
    claim = claim_of(found.seen.job.spec)
    for stage in stages:
        step, address = found.steps[stage.name], found.addresses[stage.name]
        if address and step.source:
            sources.pop(address.name, None)
            sources[address.name] = step.source
        if step.made is None:
            continue
        key = step.made.key
        if key not in known and key not in fresh:
            gpu_seconds = 0 if step.made.cached else step.status.gpuSeconds
            record = build.artifact(found.seen.job, stage, step.made, claim, gpu_seconds)
            made.append(record)
            fresh[key] = records.artifact(record)
    if sources == found.sources and not fresh:
        return None
    seen = replace(found.seen, artifacts=ChainMap(fresh, known))  # type: ignore[arg-type]  # only read
    return replace(found, seen=seen, sources=sources)


__all__ = ["Plan", "plan"]
