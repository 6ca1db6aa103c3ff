"""What is to be served: the newest whole set of model and adapters, and never less than before.

While stages run, what was served stays; an adapter that becomes ready joins the model it was
converted for at once. Another model takes over only when every stage is at its end, every gate is
passed, and it brings every adapter that is served now and still wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olive_contract.serving import ServedAdapter, Serving
from olive_operator import names
from olive_operator.api.seen import Seen
from olive_operator.api.status import (
    UNDER_WAY,
    AdapterStatus,
    ServingStatus,
    StageStatus,
    State,
)
from olive_operator.config import Config
from olive_operator.plan.graph import claim_of


@dataclass(frozen=True)
class Target:
    """What to serve, and from which claim's store."""

    serving: Serving
    claim: str


def target(seen: Seen, stages: Mapping[str, StageStatus]) -> Target | None:
    """What to serve now, or None if there is nothing to serve (yet)."""
    job, before = seen.job, seen.job.status.serving
    if job.spec.serve is None:
        return None
    export, claim = stages["export"], claim_of(job.spec)
    ready = tuple(
        ServedAdapter(a.name, stages[f"adapter/{a.name}"].key)
        for a in job.spec.adapters
        if _passed(a.name, stages)
    )
    kept = _kept(seen, {a.name for a in ready})
    if export.state == State.SUCCEEDED:
        if before and (before.model, before.claim) == (export.key, claim):
            return Target(Serving(job.name, export.key, (*ready, *kept)), claim)
        if not _undecided(seen, stages) and not kept:
            return Target(Serving(job.name, export.key, ready), claim)
    if before and before.model:
        adapters = tuple(ServedAdapter(a.name, a.key) for a in before.adapters)
        return Target(Serving(job.name, before.model, adapters), before.claim)
    return None


def _undecided(seen: Seen, stages: Mapping[str, StageStatus]) -> bool:
    """Something goes on, or a gate is not passed: what was not measured has passed none.

    Nobody who asks the model waits for its publication.
    """
    evaluate = seen.job.spec.evaluate
    gated = evaluate is not None and bool(evaluate.gates)
    return any(
        (s.state in UNDER_WAY and not s.name.startswith("publish/"))
        or s.missed_gate
        or (gated and s.name.startswith("evaluate/") and s.state != State.SUCCEEDED)
        for s in stages.values()
    )


def _passed(name: str, stages: Mapping[str, StageStatus]) -> bool:
    """The adapter is converted, and good enough where it was to be measured."""
    last = stages.get(f"evaluate/{name}", stages[f"adapter/{name}"])
    return last.state == State.SUCCEEDED and not last.missed_gate


def _kept(seen: Seen, ready: set[str]) -> tuple[ServedAdapter, ...]:
    """Adapters that are served and still wanted, and whose successors are not there (yet)."""
    before, wanted = seen.job.status.serving, {a.name for a in seen.job.spec.adapters}
    served = before.adapters if before else ()
    return tuple(
        ServedAdapter(a.name, a.key) for a in served if a.name in wanted and a.name not in ready
    )


def status(seen: Seen, target: Target | None) -> ServingStatus | None:
    """What the serving has come to, as far as it is seen."""
    if target is None:
        return None
    what = target.serving
    found, loaded = seen.deployment, seen.loaded or frozenset()
    before = {a.key for a in _before(seen) if a.state == "Loaded"} if seen.loaded is None else set()
    return ServingStatus(
        url=names.serving_url(seen.job.name, seen.job.namespace),
        replicas=found.replicas if found else 0,
        readyReplicas=found.ready if found else 0,
        model=what.model,
        claim=target.claim,
        adapters=tuple(
            AdapterStatus(
                a.name, a.key, "Loaded" if a.key in loaded or a.key in before else "Loading"
            )
            for a in what.adapters
        ),
    )


def wanted_replicas(seen: Seen) -> int | None:
    """How many pods the Deployment is to ask for; None: it does not say, as somebody else does.

    What we stop to apply is reset to 1. So where an autoscaler takes over from us, the number that
    is there is applied on until it has changed it, and by that made it its own (docs/adr/0020).
    """
    serve, found = seen.job.spec.serve, seen.deployment
    if serve is None or serve.autoscaling is None:
        return serve.replicas if serve else None
    if found is None or not found.pinned:
        return None
    return max(found.replicas, serve.autoscaling.minReplicas)


def scaled_by_others(seen: Seen, wanted: Mapping[str, Any]) -> bool:
    """Whether the Deployment asks for another number of pods than its spec is to say."""
    found = seen.deployment
    return found is not None and wanted.get("replicas", found.replicas) != found.replicas


def _before(seen: Seen) -> tuple[AdapterStatus, ...]:
    return seen.job.status.serving.adapters if seen.job.status.serving else ()


def rolled_out(seen: Seen, what: Serving) -> bool:
    """Every replica serves this model; what served the one before is gone.

    Of those that an autoscaler asks for, as many as there are to be in any case: more of them may
    be coming or going at any time.
    """
    serve, found = seen.job.spec.serve, seen.deployment
    if (
        found is None
        or not found.observed
        or found.config != names.serving_config(seen.job.name, what.model)
        or found.updated != found.total
    ):
        return False
    if serve and serve.autoscaling:
        return found.ready >= serve.autoscaling.minReplicas
    return found.ready == found.total == found.replicas


def unrouted(seen: Seen, config: Config) -> bool:
    """The spec asks for a route, and the operator was not told that there are any."""
    serve = seen.job.spec.serve
    return serve is not None and serve.route is not None and not config.gatewayAPI


def answers(seen: Seen, what: Serving, now: ServingStatus) -> bool:
    """Rolled out, and every adapter loaded; with no replicas wanted there is nothing to load."""
    found = seen.deployment
    if found is None or not rolled_out(seen, what):
        return False
    return found.replicas == 0 or all(a.state == "Loaded" for a in now.adapters)
