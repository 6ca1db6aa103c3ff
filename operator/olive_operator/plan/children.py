"""The children that a plan asks for: what to create, what to apply, what to delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olive_contract.serving import Serving
from olive_operator import build, labels, names
from olive_operator.api.seen import Ref, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.config import Config
from olive_operator.plan import serving as serve
from olive_operator.plan.stages import Step

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """One look at every stage, with the sources and artifacts that were known for it."""

    seen: Seen
    sources: Mapping[str, str]
    addresses: Mapping[str, Address | None]
    steps: Mapping[str, Step]


def claim_of(seen: Seen) -> str:
    """The claim with the job's store."""
    return seen.job.spec.storage.claim or names.DEFAULT_CLAIM


def claim(seen: Seen, config: Config) -> tuple[Manifest, ...]:
    """The namespace's claim, where the job names none and there is none."""
    if seen.job.spec.storage.claim or seen.claimExists:
        return ()
    return (build.claim(seen.job, config),)


def attempts(stages: tuple[Stage, ...], found: Round, config: Config) -> list[Manifest]:
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


def obsolete(found: Round) -> list[Ref]:
    """Attempts of stages that the spec no longer asks for, running or not."""
    current = {name: a.name for name, a in found.addresses.items() if a}
    unknown = {name for name, a in found.addresses.items() if a is None}
    return [
        Ref("Job", a.name)
        for a in found.seen.attempts
        if current.get(a.stage) != a.address and a.stage not in unknown and not a.deleting
    ]


def lost(found: Round) -> list[Ref]:
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


def serving(seen: Seen, what: Serving | None, config: Config) -> tuple[Manifest, ...]:
    """The serving's children as far as they differ from what was last applied."""
    if what is None:
        return ()
    manifests = build.serving(seen.job, what, claim_of(seen), config)
    return tuple(
        m
        for m in manifests
        if seen.applied.get(Ref(m["kind"], m["metadata"]["name"]))
        != m["metadata"]["annotations"][labels.APPLIED]
    )


def unserved(seen: Seen, what: Serving | None) -> list[Ref]:
    """Children of a serving that is no longer wanted, or of the model that was served before."""
    if what is None:
        return list(seen.applied)
    if not serve.rolled_out(seen, what):
        return []
    config = names.serving_config(seen.job.name, what.model)
    return [ref for ref in seen.applied if ref.kind == "ConfigMap" and ref.name != config]
