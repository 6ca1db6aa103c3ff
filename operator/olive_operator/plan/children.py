"""The children that a plan asks for: what to create, what to apply, what to delete."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from olive_operator import build, labels, names
from olive_operator.api.seen import AttemptSeen, Ref, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.config import Config
from olive_operator.plan import serving as serve
from olive_operator.plan import volumes
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
    if seen.job.spec.storage.claim or names.DEFAULT_CLAIM in seen.claims:
        return ()
    return (build.claim(seen.job, config),)


def attempts(stages: tuple[Stage, ...], found: Round, config: Config) -> dict[str, Manifest | None]:
    """The attempts that must exist, by name; None for one whose pod has begun: it is as it is."""
    job, mount = found.seen.job, volumes.mount(claim_of(found.seen.job.spec), found.seen, config)
    begun = {a.name for a in found.seen.attempts if a.begun}
    wanted: dict[str, Manifest | None] = {}
    for stage in stages:
        step, address = found.steps[stage.name], found.addresses[stage.name]
        if step.start and address:
            name = names.attempt(
                job.name, job.uid, stage.name, address.name, mount.claim, step.start
            )
            wanted[name] = (
                build.attempt(job, stage, address, step.start, mount, config, step.status.less)
                if name not in begun
                else None
            )
    return wanted


def absent(wanted: Mapping[str, Manifest | None], found: Round) -> list[Manifest]:
    """Of the attempts that must exist, those that are not seen."""
    there = {a.name for a in found.seen.attempts}
    return [m for name, m in wanted.items() if m and name not in there]


def obsolete(wanted: Mapping[str, Manifest | None], found: Round) -> list[Ref]:
    """Attempts under way that nothing asks for any more, and all for what the spec does not name.

    Of those that are asked for, the ones that have not begun and would be made otherwise now: they
    may wait for what nobody will bring. They are made anew. Of a stage whose address is not known
    now, what has ended is kept until it is.
    """
    claim = claim_of(found.seen.job.spec)
    current = {name: (a.name, claim) for name, a in found.addresses.items() if a}
    unknown = {name for name, a in found.addresses.items() if a is None}

    def useless(attempt: AttemptSeen) -> bool:
        if attempt.deleting:
            return False
        if attempt.stage in unknown:
            step = found.steps[attempt.stage]
            asked_for = step.status.address, step.start
            return not attempt.ended and (attempt.address, attempt.number) != asked_for
        if current.get(attempt.stage) != (attempt.address, attempt.claim):
            return True
        if attempt.ended:
            return False
        if attempt.name not in wanted:
            return True
        if (anew := wanted[attempt.name]) is None:
            return False
        return bool(anew["metadata"]["annotations"][labels.TEMPLATE] != attempt.template)

    return [Ref("Job", a.name) for a in found.seen.attempts if useless(a)]


def lost(found: Round) -> list[Ref]:
    """Records of artifacts that a stage did not find on the volume."""
    artifacts = found.seen.artifacts
    keys = {s.lost for s in found.steps.values() if s.lost}
    return [Ref("Artifact", artifacts[k].name) for k in sorted(keys) if k in artifacts]


def serving(seen: Seen, target: Target | None, config: Config) -> tuple[Manifest, ...]:
    """All that the serving consists of."""
    if target is None:
        return ()
    mount = volumes.mount(target.claim, seen, config)
    return tuple(
        build.serving(seen.job, target.serving, mount, serve.wanted_replicas(seen), config)
    )


def outdated(seen: Seen, wanted: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Those of the serving's children that differ from what was last applied, or from what is there
    where somebody else may have changed that."""

    def differs(child: Manifest) -> bool:
        notes = child["metadata"]["annotations"]
        if seen.applied.get(Ref.of(child)) != notes[labels.APPLIED]:
            return True
        return child["kind"] == "Deployment" and serve.scaled_by_others(seen, child["spec"])

    return tuple(child for child in wanted if differs(child))


def refused(seen: Seen, wanted: Iterable[Manifest]) -> str:
    """Which of these the API server does not take, and why; empty where it takes them."""
    refs = [ref for m in wanted if (ref := Ref.of(m)) in seen.refused]
    return "; ".join(f"{ref.kind} {ref.name}: {seen.refused[ref]}" for ref in refs)


def unserved(seen: Seen, target: Target | None, wanted: Iterable[Manifest]) -> list[Ref]:
    """The serving's children that are no longer ``wanted``.

    What the model that was served before is told by stays until its last pod is gone.
    """
    current = {Ref.of(child) for child in wanted}
    stays = target is not None and not serve.rolled_out(seen, target.serving)
    gone = [r for r in seen.applied if r not in current and not (stays and r.kind == "ConfigMap")]
    return sorted(gone, key=lambda ref: ref.kind != "Deployment")  # it mounts the others
