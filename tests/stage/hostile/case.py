"""A hostile input: what is put where, how it is fetched, and how that must end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standin_hub import StandinHub

CANARY = "/tmp/olive-stage-canary"
"""What code in an input would create, were it run."""

Content = bytes | None
Laid = Callable[[Path], None]
Served = Callable[[StandinHub], None]


def nothing(place: Any) -> None:
    """Nothing more is put there."""


@dataclass(frozen=True)
class Stored:
    """What lies in the store as if it had been fetched or made: nothing has looked at it."""

    files: Mapping[str, bytes]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """``files`` are put on the claim ``team`` below ``it/``, ``lay`` puts what no bytes describe.

    ``ends`` is the failure class, or Succeeded for what looks bad and is none; ``says`` is in the
    message. A ``kind`` other than fetch is given ``inputs``, by role, and ``params`` alone.
    ``serve`` prepares the server whose address stands for ``{server}`` in ``source``.
    """

    name: str
    ends: str = "InvalidInput"
    says: str = ""
    what: str = "model"
    source: str = "pvc://team/it"
    files: Mapping[str, Content] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "fetch"
    inputs: Mapping[str, Stored] = field(default_factory=dict)
    lay: Laid = nothing
    serve: Served = nothing
