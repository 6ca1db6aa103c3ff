"""Bodies as the operator's own plan takes them, as far as this program knows their fields: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olive_cli.errors import AbsentError
from olive_cli.job.view import Body
from olive_operator.api.seen import ArtifactSeen
from olive_operator.api.spec import Spec
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus, State
from olive_operator.plan.graph import graph
from olive_operator.plan.keys import addresses


@dataclass(frozen=True)
class Planned:
    """A spec's stages, by name, and what each is to make."""

    spec: Spec
    stages: Mapping[str, Stage]
    addresses: Mapping[str, Address | None]


def planned(body: Body, sources: Mapping[str, str]) -> Planned:
    """Of a job's spec. AbsentError if it is one of a newer version than this program's."""
    try:
        spec = Spec.from_body(body["spec"])
    except ValueError as error:
        raise AbsentError(
            f"{body['metadata']['name']} cannot be read ({error}): it is for a newer "
            "olive-operator than this kubectl-olive; install the one that came with it"
        ) from None
    stages = graph(spec)
    return Planned(spec, {s.name: s for s in stages}, addresses(stages, sources))


def recorded(body: Body) -> ArtifactSeen:
    """Where it is, and no more: the rest may be a newer operator's."""
    spec = body["spec"]
    return ArtifactSeen(body["metadata"]["name"], spec["claim"], spec["key"])


def known_stages(status: Mapping[str, Any]) -> dict[str, StageStatus]:
    """The stages of the status, by the fields that this program knows."""
    found = {}
    for body in status.get("stages") or []:
        state = body.get("state")
        found[body["name"]] = StageStatus(
            body["name"],
            State(state) if state in list(State) else State.WAITING,
            reason=body.get("reason", ""),
            address=body.get("address", ""),
            seconds=body.get("seconds", 0.0),
            gpuSeconds=body.get("gpuSeconds", 0),
        )
    return found
