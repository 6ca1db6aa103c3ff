"""What the operator has observed of one store, frozen into one value for plan/retention.py."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StoredSeen:
    """The record of an artifact. ``unusedSince``: nothing has referred to it since then."""

    name: str
    key: str
    sizeBytes: int = 0
    createdAt: datetime | None = None
    unusedSince: datetime | None = None


@dataclass(frozen=True)
class SweepSeen:
    """A sweep: a batch/v1 Job that removes the artifacts of ``keys``, and what was left over.

    ``there``: the API server has it; before that it is what was decided on. ``suspended``: its pod
    is not made yet. ``outcome`` as of an attempt.
    """

    name: str
    keys: frozenset[str]
    there: bool = True
    suspended: bool = True
    outcome: str = ""
    endedAt: datetime | None = None
    deleting: bool = False

    @property
    def over(self) -> bool:
        """It has done its work, and its keys are free."""
        return self.outcome == "Complete"


@dataclass(frozen=True)
class StoreSeen:
    """The store of a claim.

    ``used``: keys that something refers to. ``open``: of stages that were tried and are not done.
    ``oldest``: when the oldest attempt under way was made. ``oneNode``: as of a StoreMount.
    """

    namespace: str
    claim: str
    artifacts: tuple[StoredSeen, ...] = ()
    used: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    oldest: datetime | None = None
    oneNode: bool = False
    sweeps: tuple[SweepSeen, ...] = ()
