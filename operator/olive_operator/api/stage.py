"""A stage of a job's graph, and the address of what it is to make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from olive_contract.params import Params, body_of
from olive_operator.api.spec import AzureIdentity

NO_ADAPTERS: Final = frozenset({"base", "model", "calibration", "quantize"})
"""What may stand behind a stage's "/" beside adapters; the CRD lets no adapter be called so."""


@dataclass(frozen=True)
class Stage:
    """A node: what to run, and the stages whose artifacts it reads, by role.

    ``after`` are stages that must be done first though nothing of theirs is read: they are no part
    of the key. ``secret`` and ``azure``: who it is where it fetches from or publishes to.
    """

    name: str
    kind: str
    params: Params
    inputs: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    gpu: bool = False
    secret: str | None = None
    azure: AzureIdentity | None = None

    @cached_property
    def body(self) -> dict[str, Any]:
        """The parameters as plain JSON values."""
        return body_of(self.params)

    @property
    def adapter(self) -> str:
        """The adapter that the stage is for, or empty."""
        if self.kind == "publish":
            return ""
        name = self.name.partition("/")[2]
        return "" if name in NO_ADAPTERS else name


@dataclass(frozen=True)
class Address:
    """What a stage is to make.

    ``name`` identifies the work (attempts are counted for it): the key, or for a fetch the hash of
    its request, as the key of a fetched artifact is known only once its content is. ``key`` is
    empty until it is known; ``inputs`` are the keys of the inputs.
    """

    name: str
    key: str
    inputs: Mapping[str, str]
