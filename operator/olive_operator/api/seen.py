"""What the operator has observed of one job and its children, frozen into one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from olive_contract.stage import Progress, Published, Report
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status


@dataclass(frozen=True)
class Ref:
    """A Kubernetes object by kind and name, in the job's namespace."""

    kind: str
    name: str

    @staticmethod
    def of(manifest: Mapping[str, Any]) -> "Ref":
        """That of a manifest."""
        return Ref(manifest["kind"], manifest["metadata"]["name"])


KEPT_OFF: Final = "didn't match pod affinity rules"
"""The scheduler says so only of nodes that have everything else the pod needs."""


@dataclass(frozen=True)
class PodSeen:
    """The trimmed record of an attempt's pod.

    ``createdAt`` is by the API server's clock, ``startedAt`` and ``finishedAt`` by the node's;
    ``placedAt``, when it was given its node, by the scheduler's.
    ``waiting`` and ``terminated`` are the container's reasons; ``unschedulable`` the scheduler's
    message; ``disrupted`` the reason of a disruption (eviction, preemption, deletion) if any.
    """

    name: str
    node: str = ""
    phase: str = "Pending"
    deleting: bool = False
    createdAt: datetime | None = None
    placedAt: datetime | None = None
    startedAt: datetime | None = None
    finishedAt: datetime | None = None
    running: bool = False
    waiting: str = ""
    waitingMessage: str = ""
    terminated: str = ""
    exitCode: int | None = None
    output: str = ""
    unschedulable: str = ""
    disrupted: str = ""

    @property
    def elsewhere(self) -> bool:
        """It could run, but not on the node where its claim is mounted now."""
        return not self.node and KEPT_OFF in self.unschedulable

    @property
    def report(self) -> Report | None:
        """The attempt's last word, if the pod left one."""
        try:
            return Report.from_json(self.output)
        except ValueError:
            return None


@dataclass(frozen=True)
class AttemptSeen:
    """The trimmed record of an attempt: its batch/v1 Job, and its pod if there is one."""

    name: str
    stage: str
    address: str
    number: int
    outcome: str = ""
    """Complete, Failed, or empty while it runs."""
    claim: str = ""
    """The claim with the store that it works on."""
    template: str = ""
    """The hash of the pod that it was made for."""
    createdAt: datetime | None = None
    queued: bool = False
    """A queue admits it, and may suspend it again."""
    suspended: bool = False
    """Its pod is not to be made yet: the queue holds it back."""
    deleting: bool = False
    pod: PodSeen | None = None

    @property
    def ended(self) -> str:
        """Complete, Failed, or empty: by the pod, as the Job follows it only a second later.

        A Job whose pod is still there and running according to its own watch has not ended for us.
        If a queue may have taken the pod back, only the Job knows: resumed, it has another pod.
        """
        if self.pod is None:
            return self.outcome
        failed = self.outcome if self.queued and self.pod.deleting else "Failed"
        return {"Succeeded": "Complete", "Failed": failed}.get(
            self.pod.phase, self.outcome if self.pod.deleting else ""
        )

    @property
    def begun(self) -> bool:
        """Its pod runs or has run."""
        return bool(self.outcome or (self.pod and self.pod.startedAt))

    @property
    def made(self) -> Report | None:
        """What it says of the artifact that it has made, if it has ended well."""
        report = self.pod.report if self.pod and self.ended == "Complete" else None
        return report if report and report.outcome == "Succeeded" else None


@dataclass(frozen=True)
class ArtifactSeen:
    """A record that an artifact is whole in a claim's store.

    It is named by claim and key; ``metrics``, what its stage measured, and ``published``, where it
    put a version, follow from them.
    """

    name: str
    claim: str
    key: str
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)
    published: Published | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ClaimSeen:
    """A PersistentVolumeClaim: ``accessModes`` as they were asked for."""

    name: str
    accessModes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Holder:
    """A pod of ours that has the claim mounted, or is to mount it, and has not ended.

    ``job`` is the OptimizationJob that it belongs to (a sweep to none); ``component`` is stage,
    serving or sweep; ``node`` is empty while the pod waits for one; ``elsewhere``: it could run,
    but not on the node where the claim is mounted now.
    """

    pod: str
    job: str
    component: str
    node: str = ""
    elsewhere: bool = False


@dataclass(frozen=True)
class Builder:
    """An attempt under way, of another job, at what a stage of this job is to make.

    ``reserved``: it was asked for a moment ago, and the watch has not brought it yet. ``refused``:
    its job's status says that it gets no pod. ``ending``:
    it is no attempt any more (its job is gone, or has withdrawn it; it may have been this job's
    own), but its pod is still there and may be writing, or may still come. ``asked``: the hashes
    of the pods that other jobs' attempts at it were made for, this one's among them.
    """

    job: str
    attempt: AttemptSeen
    reserved: bool = False
    asked: frozenset[str] = frozenset()
    refused: bool = False
    ending: bool = False


@dataclass(frozen=True)
class DeploymentSeen:
    """The serving Deployment: replicas asked for, there at all, ready, and of the newest kind.

    ``observed``: the numbers are of the newest spec. ``config``: the ConfigMap that its newest pods
    mount. ``pinned``: how many are asked for is what we have applied; nobody has changed it since.
    """

    replicas: int = 0
    total: int = 0
    ready: int = 0
    updated: int = 0
    observed: bool = False
    config: str = ""
    pinned: bool = False


@dataclass(frozen=True)
class JobSeen:
    """The OptimizationJob itself."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: Spec
    status: Status
    retry: str = ""


@dataclass(frozen=True)
class Seen:
    """Everything that a plan is made from.

    ``artifacts``: the records of the job's claim by key. ``applied``: the hash under which each
    mutable child was last applied. ``progress``: the last progress line by pod name. ``loaded``:
    keys of the adapters that every serving pod says it has loaded, None if it was not asked.
    ``claims``: by name, those that the job works on or serves from, if they are there; ``holders``:
    every pod of ours that uses the job's claim.
    ``others``: by address, the attempts of other jobs on the same claim, and pods that outlast
    theirs. ``sweeping``: keys that
    are being removed from the store. ``refused``: why the API server did not take an object
    of the job's. ``said``: the last warning about an attempt whose pod is not made, by its name.
    ``queue``: why spec.queue cannot be used, empty if it can, None until that is known.
    """

    job: JobSeen
    attempts: tuple[AttemptSeen, ...] = ()
    artifacts: Mapping[str, ArtifactSeen] = field(default_factory=dict)
    applied: Mapping[Ref, str] = field(default_factory=dict)
    deployment: DeploymentSeen | None = None
    claims: Mapping[str, ClaimSeen] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    others: Mapping[str, Builder] = field(default_factory=dict)
    sweeping: frozenset[str] = frozenset()
    refused: Mapping[Ref, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    queue: str | None = ""
    progress: Mapping[str, Progress] = field(default_factory=dict)
    loaded: frozenset[str] | None = None
