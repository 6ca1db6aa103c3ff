"""What is different between what a stage was to do and what it would do, in words: pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from olive_operator.api.stage import Address, Stage

NAMED: Final = 3
"""Parameters that are named; of more only the number is told."""
OF_A_CHECK: Final = "params."
"""Before the name of a parameter that a check has of the stage which it is for."""
SHOWN: Final = 40
"""Characters of a value that are shown."""


def params(before: Stage, after: Stage) -> str:
    """The parameters that differ, such as ``lora.rank 16 → 32``; empty if none does."""
    old, new = dict(_flat(before.body)), dict(_flat(after.body))
    names = [n for n in {**old, **new} if old.get(n) != new.get(n)]
    told = [
        f"{n.removeprefix(OF_A_CHECK)} {_value(old.get(n))} → {_value(new.get(n))}" for n in names
    ]
    if before.secret != after.secret:
        told.append("its secretRef")
    if before.azure != after.azure:
        told.append("who it is at Azure")
    return _listed(told)


def inputs(
    before: Stage,
    after: Stage,
    was: Mapping[str, Address | None],
    would: Mapping[str, Address | None],
) -> str:
    """The stages of which it would read something else; empty if there are none."""
    old = {name: _key(was.get(name)) for name in before.inputs.values()}
    names = [n for n in after.inputs.values() if not _key(would[n]) or old.get(n) != _key(would[n])]
    gone = [n for n in before.inputs.values() if n not in after.inputs.values()]
    told = [f"{n} is another" if n in old else f"reads {n} as well" for n in names]
    return _listed(told + [f"no longer reads {n}" for n in gone])


def _key(address: Address | None) -> str:
    return address.key if address else ""


def _flat(body: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _value(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "nothing"
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _listed(told: list[str]) -> str:
    more = len(told) - NAMED
    return ", ".join(told[:NAMED]) + (f" and {more} more" if more > 0 else "")
