"""A namespace in memory with many jobs: what people, nodes and controllers do in it.

The API server's rules are the model's: names are taken once, uids never come again, and an attempt
that is deleted stays until its pod is gone.
"""

from dataclasses import replace
from typing import Any

from builders.jobs import spec
from builders.objects import NAMESPACE, OF_SERVINGS, Objects, Thing
from builders.world import NOON
from olive_contract.failures import FailureClass
from olive_contract.keys import content_key
from olive_contract.stage import Report, StageInput
from olive_operator.api.seen import AttemptSeen, ClaimSeen, DeploymentSeen, JobSeen, PodSeen
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status
from olive_operator.plan.pods import IMAGE_WAITS
from olive_operator.watch.kept import AttemptRecord, ChildRecord, ClaimRecord, JobRecord, PodRecord

ELSEWHERE = "0/2 nodes are available: 1 node(s) didn't match pod affinity rules."


class Cluster(Objects):
    """``store``: claim and key of every artifact that is whole on a volume; ``built``: each time
    that one was made; ``failed``: the attempts (by uid) and classes that the status may tell of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.store: set[tuple[str, str]] = set()
        self.built: list[tuple[str, str]] = []
        self.failed: set[tuple[str, str]] = set()
        self.contents: dict[str, str] = {}

    # What is there

    @property
    def jobs(self) -> dict[str, JobSeen]:
        return {name: thing.record.seen for name, thing in self.real["OptimizationJob"].items()}

    def attempts(self, job: str = "") -> list[AttemptSeen]:
        """All there are, with their pods, of one job or of all."""
        uid = self.jobs[job].uid if job else ""
        there = self.real["Job"].items()
        return [self._attempt(name) for name, t in there if uid in ("", t.owner)]

    def under_way(self, job: str = "") -> list[AttemptSeen]:
        """Those that have not ended."""
        return [a for a in self.attempts(job) if not a.ended]

    # What people do

    def submit(self, name: str, **sections: Any) -> None:
        uid, body = self.unique("job"), Spec.from_body(spec(**sections))
        self.bring(JobSeen(NAMESPACE, name, uid, 1, body, Status()))

    def bring(self, job: JobSeen) -> None:
        """A job as it is, at its beginning."""
        self._job(replace(job, namespace=NAMESPACE), uid=job.uid)

    def edit(self, name: str, **sections: Any) -> None:
        job, body = self.jobs[name], Spec.from_body(spec(**sections))
        self._job(replace(job, spec=body, generation=job.generation + 1))

    def annotate_retry(self, name: str) -> None:
        self._job(replace(self.jobs[name], retry=self.unique("retry")))

    def remove(self, name: str) -> None:
        """The job is deleted; what it owns goes along."""
        uid = self.jobs[name].uid
        self.drop("OptimizationJob", name)
        for kind in OF_SERVINGS:
            for child in self.owned(kind, uid):
                self.drop(kind, child)
        for attempt in self.owned("Job", uid):
            self.end(attempt)

    def claim(self, name: str, *modes: str) -> None:
        self.put("PersistentVolumeClaim", name, ClaimRecord(ClaimSeen(name, modes)))

    def forget(self, record: str) -> None:
        """The record of an artifact is deleted."""
        self.drop("Artifact", record)

    # What nodes and controllers do

    def end(self, attempt: str) -> None:
        """The batch/v1 Job is deleted: at once, or when the pod that runs has ended."""
        pod = self._attempt(attempt).pod
        if pod and pod.running:
            self.pod(attempt, deleting=True)
            self._change(attempt, deleting=True)
        else:
            self.gone(attempt)

    def gone(self, attempt: str) -> None:
        """It is away, and its pod."""
        self.drop("Pod", _pod_of(attempt))
        self.drop("Job", attempt)

    def pod(self, attempt: str, **fields: Any) -> None:
        """The attempt's pod is there, in this state."""
        if fields.get("waiting") in IMAGE_WAITS:
            self._may_tell(attempt, FailureClass.IMAGE_PULL)
        thing, known = self.real["Job"][attempt], self._attempt(attempt).pod
        pod = replace(known or PodSeen(_pod_of(attempt), createdAt=self.now), **fields)
        of: AttemptRecord = thing.record
        claims = (of.seen.claim,)
        record = PodRecord(
            of.job, "stage", thing.uid, of.seen.address, claims, pod, store=of.seen.claim
        )
        if known is None:
            self.drop("Pod", pod.name)
        self.put("Pod", pod.name, record, owner=thing.uid)

    def start(self, attempt: str, node: str = "n1") -> None:
        self._may_tell(attempt, FailureClass.TIMEOUT)
        waits = {"waiting": "", "waitingMessage": "", "unschedulable": ""}
        self.pod(attempt, node=node, phase="Running", running=True, startedAt=self.now, **waits)

    def finish(self, attempt: str) -> None:
        """The pod reads its inputs and makes the artifact, or finds it, or misses an input."""
        thing = self.real["Job"][attempt]
        given, claim = given_to(thing), thing.record.seen.claim
        missing = [key for key in given.inputs.values() if (claim, key) not in self.store]
        if missing:
            self.fail(attempt, FailureClass.INPUT_MISSING, missing[0])
            return
        source = str(given.params.get("source"))
        key = given.key or content_key("x", self.contents.get(source, source))
        cached = (claim, key) in self.store
        if not cached:
            self.store.add((claim, key))
            self.built.append((claim, key))
        self._report(attempt, Report("Succeeded", key=key, cached=cached, sizeBytes=5))

    def fail(self, attempt: str, failure: FailureClass, missing: str = "") -> None:
        self._may_tell(attempt, failure)
        self._report(attempt, Report("Failed", reason=failure, message="it broke", missing=missing))

    def evict(self, attempt: str) -> None:
        """The pod's node is drained; the pod fails, and its Job with it."""
        self._may_tell(attempt, FailureClass.EVICTED)
        reason = "EvictionByEvictionAPI: drained"
        self.pod(attempt, running=False, phase="Failed", disrupted=reason, finishedAt=self.now)
        self._change(attempt, outcome="Failed")

    def lose_pod(self, attempt: str) -> None:
        """The pod goes away without a word; its Job fails."""
        self._may_tell(attempt, FailureClass.EVICTED)
        self.drop("Pod", _pod_of(attempt))
        self._change(attempt, outcome="Failed")

    def suspend(self, attempt: str, suspended: bool = True) -> None:
        """The queue takes the attempt's place away, or gives it one."""
        if suspended:
            self.drop("Pod", _pod_of(attempt))
        self._change(attempt, suspended=suspended)

    def deploy(self, job: str, **fields: Any) -> None:
        """The serving Deployment's numbers change."""
        name = f"{job}-serving"
        if found := self.real["Deployment"].get(name):
            record: ChildRecord = found.record
            new = replace(record.deployment or DeploymentSeen(), **fields)
            self.put("Deployment", name, replace(record, deployment=new))

    def scale(self, job: str, replicas: int) -> None:
        """Somebody else than the operator says how many serving pods there are to be."""
        self.deploy(job, replicas=replicas, pinned=False, observed=False)

    def autoscales_to(self, job: str) -> int:
        """What an autoscaler is about to say where nobody asks anything; 0 if nothing new.

        It leaves alone what has no pods at all.
        """
        scaler = self.real["HorizontalPodAutoscaler"].get(f"{job}-serving")
        found = self.real["Deployment"].get(f"{job}-serving")
        least: int = scaler.manifest["spec"]["minReplicas"] if scaler else 0
        now = found.record.deployment.replicas if found else 0
        return least if now not in (0, least) else 0

    def roll_out(self, job: str) -> None:
        """The Deployment's newest pods are ready, and no others are there."""
        if replicas := self.autoscales_to(job):
            self.scale(job, replicas)
        if found := self.real["Deployment"].get(f"{job}-serving"):
            n = found.record.deployment.replicas
            self.deploy(job, total=n, ready=n, updated=n, observed=True)

    # How it is kept

    def _job(self, job: JobSeen, **new: Any) -> None:
        self.put("OptimizationJob", job.name, JobRecord(job), **new)

    def _attempt(self, name: str) -> AttemptSeen:
        """With its pod, if the pod is its own and not an earlier one's."""
        thing, pod = self.real["Job"][name], self.real["Pod"].get(_pod_of(name))
        seen: AttemptSeen = thing.record.seen
        return replace(seen, pod=pod.record.seen if pod and pod.owner == thing.uid else None)

    def _change(self, attempt: str, **fields: Any) -> None:
        record: AttemptRecord = self.real["Job"][attempt].record
        self.put("Job", attempt, replace(record, seen=replace(record.seen, **fields)))

    def _report(self, attempt: str, report: Report) -> None:
        good = report.outcome == "Succeeded"
        self.pod(
            attempt,
            phase="Succeeded" if good else "Failed",
            running=False,
            terminated="Completed" if good else "Error",
            exitCode=int(not good),
            finishedAt=self.now,
            output=report.to_json(),
        )
        self._change(attempt, outcome="Complete" if good else "Failed")

    def _may_tell(self, attempt: str, failure: FailureClass) -> None:
        self.failed.add((attempt, failure.value))


def given_to(thing: Thing) -> StageInput:
    """What the attempt's pod is told to do."""
    pod = thing.manifest["spec"]["template"]["spec"]
    return StageInput.from_json(pod["containers"][0]["args"][0])


def _pod_of(attempt: str) -> str:
    return f"{attempt}-x"
