"""The children that a plan asks for: what to create, what to apply, what to delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olive_operator import build, labels, names
from olive_operator.api.seen import AttemptSeen, Ref, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.config import Config
from olive_operator.plan import serving as serve
from olive_operator.plan.graph import claim_of
from olive_operator.plan.serving import Target
from olive_operator.plan.stages import Step

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """One look at every stage, with the sources and artifacts that were known for it."""

    seen: Seen
    sources: Mapping[str, str]
    addresses: Mapping[str, Address | None]
    steps: Mapping[str, Step]


def claim(seen: Seen, config: Config) -> tuple[Manifest, ...]:
    """The namespace's claim, where the job names none and there is none."""
    if seen.job.spec.storage.claim or seen.claimExists:
        return ()
    return (build.claim(seen.job, config),)


def attempts(stages: tuple[Stage, ...], found: Round, config: Config) -> list[Manifest]:
    """The attempts that must exist, whether they are seen or not."""
    claim, job = claim_of(found.seen.job.spec), found.seen.job
    return [
        build.attempt(job, stage, address, found.steps[stage.name].start, claim, config)
        for stage in stages
        if found.steps[stage.name].start and (address := found.addresses[stage.name])
    ]


def absent(wanted: list[Manifest], found: Round) -> list[Manifest]:
    """Of the attempts that must exist, those that are not seen."""
    there = {a.name for a in found.seen.attempts}
    return [m for m in wanted if m["metadata"]["name"] not in there]


def obsolete(wanted: list[Manifest], found: Round) -> list[Ref]:
    """Attempts that the spec no longer asks for, running or not.

    Of those that it asks for, the ones that have not begun and would be made otherwise now: they
    may wait for what nobody will bring. They are made anew.
    """
    claim = claim_of(found.seen.job.spec)
    current = {name: (a.name, claim) for name, a in found.addresses.items() if a}
    unknown = {name for name, a in found.addresses.items() if a is None}
    templates = {
        m["metadata"]["name"]: m["metadata"]["annotations"][labels.TEMPLATE] for m in wanted
    }
    return [
        Ref("Job", a.name)
        for a in found.seen.attempts
        if not a.deleting
        and a.stage not in unknown
        and (
            current.get(a.stage) != (a.address, a.claim)
            or (not _begun(a) and templates.get(a.name, a.template) != a.template)
        )
    ]


def _begun(attempt: AttemptSeen) -> bool:
    return bool(attempt.outcome or (attempt.pod and attempt.pod.startedAt))


def lost(found: Round) -> list[Ref]:
    """Records of artifacts that a stage did not find on the volume."""
    artifacts = found.seen.artifacts
    keys = {s.lost for s in found.steps.values() if s.lost}
    return [Ref("Artifact", artifacts[k].name) for k in sorted(keys) if k in artifacts]


def serving(seen: Seen, target: Target | None, config: Config) -> tuple[Manifest, ...]:
    """The serving's children as far as they differ from what was last applied."""
    if target is None:
        return ()
    manifests = build.serving(seen.job, target.serving, target.claim, config)
    return tuple(
        m
        for m in manifests
        if seen.applied.get(Ref(m["kind"], m["metadata"]["name"]))
        != m["metadata"]["annotations"][labels.APPLIED]
    )


def unserved(seen: Seen, target: Target | None) -> list[Ref]:
    """Children of a serving that is no longer wanted, or of the model that was served before."""
    if target is None:
        return list(seen.applied)
    if not serve.rolled_out(seen, target.serving):
        return []
    config = names.serving_config(seen.job.name, target.serving.model)
    return [ref for ref in seen.applied if ref.kind == "ConfigMap" and ref.name != config]
