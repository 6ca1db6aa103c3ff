"""From stages to addresses: the key of each stage as far as its inputs' keys are known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from olive_contract.keys import artifact_key, digest
from olive_operator.api.stage import Address, Stage


def addresses(stages: Sequence[Stage], sources: Mapping[str, str]) -> dict[str, Address | None]:
    """The address of every stage by its name; None while an input's key is not known.

    ``sources`` maps the requests that were resolved to the keys of their content.
    """
    found: dict[str, Address | None] = {}
    for stage in stages:
        if stage.kind == "fetch":
            who = [asdict(stage.azure)] if stage.azure else []
            request = digest([stage.body, stage.secret, *who])
            found[stage.name] = Address(request, sources.get(request, ""), {})
            continue
        inputs = {role: _key_of(found[name]) for role, name in stage.inputs.items()}
        if not all(inputs.values()):
            found[stage.name] = None
            continue
        key = artifact_key(stage.kind, stage.body, inputs)
        found[stage.name] = Address(key, key, inputs)
    return found


def _key_of(address: Address | None) -> str:
    return address.key if address else ""
