"""What is kept of each kind of object: the records of the cache, and how each is found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from olive_operator.api.seen import (
    ArtifactSeen,
    AttemptSeen,
    ClaimSeen,
    DeploymentSeen,
    Holder,
    JobSeen,
    PodSeen,
    Ref,
)
from olive_operator.api.store import StoredSeen, SweepSeen
from olive_operator.watch.cache import JobKey, ObjectKey, Place

Places = Iterable[tuple[Place, str, Any]]


class _Alone:
    """A record that is found by its name only, and that nobody waits for."""

    __slots__ = ()

    @property
    def urgent(self) -> bool:
        return True

    def places(self, key: ObjectKey) -> Places:
        return ()

    def concerns(self, key: ObjectKey) -> Iterable[JobKey]:
        return ()

    def told(self, key: ObjectKey) -> Iterable[str]:
        return ()


@dataclass(frozen=True, slots=True)
class JobRecord(_Alone):
    """An OptimizationJob; ``mistake`` says why it cannot be read, where it cannot."""

    seen: JobSeen | None
    deleting: bool = False
    mistake: str = ""

    def concerns(self, key: ObjectKey) -> Iterable[JobKey]:
        yield key


@dataclass(frozen=True, slots=True)
class AttemptRecord(_Alone):
    """An attempt and its owner's uid: names come again, uids never do.

    ``uses``: the keys of what it is to make and of what it reads.
    """

    job: JobKey
    uid: str
    owner: str
    seen: AttemptSeen
    uses: tuple[str, ...] = ()

    @property
    def urgent(self) -> bool:
        """An attempt ends with its pod, which is told first."""
        return self.seen.deleting

    def places(self, key: ObjectKey) -> Places:
        yield ("attempts", self.job), key[1], self
        yield ("building", key[0], self.seen.claim, self.seen.address), key[1], self

    def concerns(self, key: ObjectKey) -> Iterable[JobKey]:
        yield self.job

    def told(self, key: ObjectKey) -> Iterable[str]:
        yield self.seen.address


@dataclass(frozen=True, slots=True)
class PodRecord(_Alone):
    """A pod of a stage (``attempt``: the uid of its batch/v1 Job), of a serving or of a sweep.

    ``builds``: the address of what it is to make, in the store on the claim ``store``; ``claims``
    are those that it mounts; ``address`` is where a serving pod that is ready answers; ``uses`` as
    of an attempt.
    """

    job: JobKey
    component: str
    attempt: str
    builds: str
    claims: tuple[str, ...]
    seen: PodSeen
    address: str = ""
    uses: tuple[str, ...] = ()
    store: str = ""

    @property
    def urgent(self) -> bool:
        """A pod that is placed, or begins, leads to nothing; one that has ended does."""
        seen = self.seen
        return seen.phase in ("Succeeded", "Failed") or seen.deleting or bool(seen.disrupted)

    def places(self, key: ObjectKey) -> Places:
        if self.component == "stage":
            yield ("pods", self.job), key[1], self
        elif self.address:
            yield ("answering", self.job), key[1], self.address
        if self.seen.phase not in ("Succeeded", "Failed"):
            if self.component == "stage":
                yield ("making", key[0], self.store, self.builds), key[1], self
            for claim in self.claims:
                yield ("holders", key[0], claim), key[1], self

    def concerns(self, key: ObjectKey) -> Iterable[JobKey]:
        yield self.job

    def told(self, key: ObjectKey) -> Iterable[str]:
        yield self.builds
        yield from self.claims

    @property
    def holder(self) -> Holder:
        """The pod, as a claim's other users see it."""
        return Holder(
            self.seen.name, self.job[1], self.component, self.seen.node, self.seen.elsewhere
        )


@dataclass(frozen=True, slots=True)
class ChildRecord(_Alone):
    """A mutable child: the hash of the manifest that was last applied, and what is seen of it.

    ``owner`` as of an attempt; ``serves``: the keys that a ConfigMap tells its pods to load.
    """

    job: JobKey
    owner: str
    ref: Ref
    applied: str
    deployment: DeploymentSeen | None = None
    serves: tuple[str, ...] = ()

    def places(self, key: ObjectKey) -> Places:
        yield ("children", self.job), f"{self.ref.kind}/{key[1]}", self

    def concerns(self, key: ObjectKey) -> Iterable[JobKey]:
        yield self.job


@dataclass(frozen=True, slots=True)
class SweepRecord(_Alone):
    """A sweep of a claim's store; while it is at work, jobs may wait for its keys."""

    claim: str
    seen: SweepSeen

    def places(self, key: ObjectKey) -> Places:
        yield ("sweeps", key[0], self.claim), key[1], self.seen

    def told(self, key: ObjectKey) -> Iterable[str]:
        return self.seen.keys


@dataclass(frozen=True, slots=True)
class ArtifactRecord(_Alone):
    """The record of an artifact: for plans, and for the store's upkeep."""

    seen: ArtifactSeen
    stored: StoredSeen

    def places(self, key: ObjectKey) -> Places:
        yield ("artifacts", key[0], self.seen.claim), self.seen.key, self.seen

    def told(self, key: ObjectKey) -> Iterable[str]:
        yield self.seen.key


@dataclass(frozen=True, slots=True)
class ClaimRecord(_Alone):
    """A claim."""

    seen: ClaimSeen

    def told(self, key: ObjectKey) -> Iterable[str]:
        yield claim_text(self.seen.name)


def claim_text(name: str) -> str:
    """What jobs wait for that a claim itself changes; its name alone is of the pods that use it."""
    return f"claim {name}"
