"""What the pod that sweeps a store is given: the artifacts to remove, and what is left over."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from olive_contract.serial import decode

_KEY: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Sweep:
    """It is the pod's only argument, as JSON.

    ``keys``: artifacts to remove, with all that was left of making them. ``before``: an instant
    (RFC 3339); what lies half-made and was last written to before it is removed too. Empty: nothing
    of that. ``keep``: keys whose half-made things stay all the same.
    """

    keys: tuple[str, ...] = ()
    before: str = ""
    keep: tuple[str, ...] = ()
    store: str = "/store"

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "Sweep":
        """ValueError names what is wrong: nothing but keys and an instant is ever acted upon."""
        found = decode(Sweep, json.loads(text))
        for key in (*found.keys, *found.keep):
            if not _KEY.fullmatch(key):
                raise ValueError(f"{key!r} is no key")
        if found.before and datetime.fromisoformat(found.before).tzinfo is None:
            raise ValueError(f"before: {found.before!r} names no time zone")
        return found
