"""What the operator has observed of one job and its children, frozen into one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from olive_contract.stage import Progress, Report
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status


@dataclass(frozen=True)
class Ref:
    """A Kubernetes object by kind and name, in the job's namespace."""

    kind: str
    name: str


@dataclass(frozen=True)
class PodSeen:
    """The trimmed record of an attempt's pod.

    ``waiting`` and ``terminated`` are the container's reasons; ``unschedulable`` the scheduler's
    message; ``disrupted`` the reason of a disruption (eviction, preemption, deletion) if any.
    """

    name: str
    node: str = ""
    phase: str = "Pending"
    deleting: bool = False
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
    deleting: bool = False
    pod: PodSeen | None = None

    @property
    def ended(self) -> str:
        """Complete, Failed, or empty: by the pod, as the Job follows it only a second later.

        A Job whose pod is still there and running according to its own watch has not ended for us.
        """
        if self.pod is None:
            return self.outcome
        return {"Succeeded": "Complete", "Failed": "Failed"}.get(
            self.pod.phase, self.outcome if self.pod.deleting else ""
        )


@dataclass(frozen=True)
class ArtifactSeen:
    """A record that an artifact is whole in a claim's store.

    It is named by claim and key; ``metrics``, what its stage measured, follow from them.
    """

    name: str
    claim: str
    key: str
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class DeploymentSeen:
    """The serving Deployment: replicas asked for, there at all, ready, and of the newest kind.

    ``observed``: the numbers are of the newest spec. ``config``: the ConfigMap that its newest pods
    mount.
    """

    replicas: int = 0
    total: int = 0
    ready: int = 0
    updated: int = 0
    observed: bool = False
    config: str = ""


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
    """

    job: JobSeen
    attempts: tuple[AttemptSeen, ...] = ()
    artifacts: Mapping[str, ArtifactSeen] = field(default_factory=dict)
    applied: Mapping[Ref, str] = field(default_factory=dict)
    deployment: DeploymentSeen | None = None
    claimExists: bool = False
    progress: Mapping[str, Progress] = field(default_factory=dict)
    loaded: frozenset[str] | None = None
