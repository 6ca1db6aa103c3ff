"""A cluster in memory for the pure plan: plans are carried out on values, pods end as told.

Every pass is planned twice: what the first plan has brought about, the second must not ask for.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from builders.jobs import job_seen, spec
from olive_contract.failures import FailureClass
from olive_contract.keys import content_key
from olive_contract.stage import Progress, Published, Report, StageInput
from olive_operator import labels
from olive_operator.api.seen import (
    ArtifactSeen,
    AttemptSeen,
    ClaimSeen,
    DeploymentSeen,
    PodSeen,
    Ref,
    Seen,
)
from olive_operator.api.spec import Spec
from olive_operator.api.status import StageStatus, Status
from olive_operator.config import Config, Images, Retry
from olive_operator.plan import Plan, plan
from olive_operator.plan.graph import claim_of
from olive_operator.records import artifact

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CONFIG = Config(
    Images("stage:1", "slim:1", "serve:1"),
    retry=Retry(limit=2, backoffSeconds=10),
    gatewayAPI=True,
)


class World:
    """One job and its children. ``contents``: what a source holds, by its address. ``lingers``:
    attempts that are deleted stay, as long as their pods take, until ``let_go``. ``interrupted``:
    a pass ends before it deletes anything.
    """

    def __init__(self, **sections: Any) -> None:
        self.now = NOON
        self.seen = Seen(job_seen(spec(**sections)))
        self.manifests: dict[str, dict[str, Any]] = {}
        self.started: list[str] = []
        self.told: list[str] = []
        self.contents: dict[str, str] = {}
        self.records: list[ArtifactSeen] = []
        self.last: Plan | None = None
        self.lingers = self.interrupted = False

    # What the person does

    def edit(self, **sections: Any) -> "World":
        return self.edit_unseen(**sections).settle()

    def edit_unseen(self, **sections: Any) -> "World":
        """The spec is edited; before the next pass something else happens."""
        job = self.seen.job
        job = replace(job, spec=Spec.from_body(spec(**sections)), generation=job.generation + 1)
        self.seen = replace(self.seen, job=job)
        return self

    def annotate_retry(self, value: str) -> "World":
        self.seen = replace(self.seen, job=replace(self.seen.job, retry=value))
        return self.settle()

    # What the cluster does

    def settle(self) -> "World":
        """Plan and carry out until nothing is asked for any more."""
        for _ in range(20):
            claim = claim_of(self.seen.job.spec)
            here = {r.key: r for r in self.records if r.claim == claim}
            self.seen = replace(self.seen, artifacts=here)
            self.last = plan(self.seen, CONFIG, self.now)
            before, count = self.seen, len(self.records)
            self._carry_out(self.last)
            if self.seen == before and len(self.records) == count:
                return self
        raise AssertionError("the plan never comes to rest")

    def wait(self, seconds: float) -> "World":
        self.now += timedelta(seconds=seconds)
        return self.settle()

    def until_retry(self, stage: str) -> float:
        """Wait for the instant at which the stage is tried again; the seconds that took."""
        found = self.last
        assert found is not None
        assert found.again is not None
        assert self.stage(stage).retryAt
        seconds = (found.again - self.now).total_seconds()
        self.wait(seconds - 0.001)
        assert self.stage(stage).retryAt, "it is not tried before"
        self.wait(0.001)
        return seconds

    def run(self, stage: str, node: str = "n1") -> "World":
        """The stage's pod is scheduled and starts."""
        pod = PodSeen(
            f"{self.attempt(stage).name}-x", node, "Running", running=True, startedAt=self.now
        )
        return self._pod(stage, pod)

    def pod(self, stage: str, **fields: Any) -> "World":
        """The stage's pod is in some other state."""
        return self._pod(stage, PodSeen(f"{self.attempt(stage).name}-x", **fields))

    def finish(
        self,
        *stages: str,
        cached: bool = False,
        seconds: float = 10,
        metrics: dict[str, float] | None = None,
        published: Published | None = None,
    ) -> "World":
        """The stages' pods run and succeed."""
        for stage in stages:
            self.run(stage)
            given = self.given(stage)
            source = str(given.params.get("source"))
            key = given.key or content_key("x", self.contents.get(source, source))
            report = Report("Succeeded", key=key, cached=cached, seconds=seconds, sizeBytes=5)
            report = replace(report, metrics=metrics or {}, published=published)
            self._end(stage, report, "Complete", seconds)
        return self

    def fail(
        self,
        stage: str,
        failure: FailureClass,
        missing: str = "",
        seconds: float = 10,
        message: str = "it broke",
    ) -> "World":
        """The stage's pod runs and reports a failure."""
        self.run(stage)
        report = Report("Failed", reason=failure, message=message, missing=missing)
        return self._end(stage, report, "Failed", seconds)

    def says(self, stage: str, progress: Progress) -> "World":
        """The running stage tells how far it is."""
        pod = self.attempt(stage).pod
        assert pod is not None
        self.seen = replace(self.seen, progress={**self.seen.progress, pod.name: progress})
        return self.settle()

    def delete_pod(self, stage: str) -> "World":
        """The pod of a running stage goes away without a word; its Job fails."""
        return self._replace(replace(self.attempt(stage), outcome="Failed", pod=None))

    def delete_job(self, stage: str) -> "World":
        gone = self.attempt(stage)
        self.seen = replace(
            self.seen, attempts=tuple(a for a in self.seen.attempts if a.name != gone.name)
        )
        return self.settle()

    def let_go(self) -> "World":
        """The pods of all deleted attempts have ended."""
        left = tuple(a for a in self.seen.attempts if not a.deleting)
        self.seen = replace(self.seen, attempts=left)
        return self.settle()

    def roll_out(self) -> "World":
        """The serving Deployment becomes ready, and every adapter is loaded."""
        manifest = self.manifests[f"Deployment/{self.seen.job.name}-serving"]
        config = manifest["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"]
        says, known = manifest["spec"].get("replicas"), self.seen.deployment
        count = says if says is not None else known.replicas if known else 1
        serving = json.loads(self.manifests[f"ConfigMap/{config}"]["data"]["serving.json"])
        self.seen = replace(
            self.seen,
            deployment=DeploymentSeen(count, count, count, count, True, config, says is not None),
            loaded=frozenset(a["key"] for a in serving["adapters"]),
        )
        return self.settle()

    def scale(self, replicas: int, ready: int) -> "World":
        """Somebody else than the operator has changed how many pods there are to be."""
        assert self.seen.deployment
        scaled = replace(
            self.seen.deployment,
            replicas=replicas,
            total=replicas,
            updated=replicas,
            ready=ready,
            pinned=False,
        )
        self.seen = replace(self.seen, deployment=scaled)
        return self.settle()

    # What is to be seen

    def stage(self, name: str) -> StageStatus:
        found = self.status.stage_named(name)
        assert found is not None, f"no stage {name}"
        return found

    @property
    def status(self) -> Status:
        return self.seen.job.status

    @property
    def states(self) -> dict[str, str]:
        return {s.name: s.state.value for s in self.status.stages}

    def condition(self, kind: str) -> tuple[str, str]:
        found = self.status.condition(kind)
        assert found is not None
        return found.status, found.reason

    def served(self) -> dict[str, Any] | None:
        """serving.json as the newest pods have it."""
        deployment = self.manifests.get(f"Deployment/{self.seen.job.name}-serving")
        if deployment is None:
            return None
        config = deployment["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"]
        found: dict[str, Any] = json.loads(
            self.manifests[f"ConfigMap/{config}"]["data"]["serving.json"]
        )
        return found

    def attempt(self, stage: str) -> AttemptSeen:
        """The latest attempt of a stage at its present address."""
        address = self.stage(stage).address
        ours = [a for a in self.seen.attempts if (a.stage, a.address) == (stage, address)]
        assert ours, f"{stage} has no attempt; there are {[a.name for a in self.seen.attempts]}"
        return max(ours, key=lambda a: a.number)

    def given(self, stage: str) -> StageInput:
        """What the stage's latest attempt is told to do."""
        manifest = self.manifests[f"Job/{self.attempt(stage).name}"]
        return StageInput.from_json(
            manifest["spec"]["template"]["spec"]["containers"][0]["args"][0]
        )

    # How plans are carried out

    def _carry_out(self, what: Plan) -> None:
        for manifest in what.create:
            self._create(manifest)
        for manifest in what.apply:
            meta = manifest["metadata"]
            self.manifests[f"{manifest['kind']}/{meta['name']}"] = manifest
            ref = Ref(manifest["kind"], meta["name"])
            applied = {**self.seen.applied, ref: meta["annotations"][labels.APPLIED]}
            self.seen = replace(self.seen, applied=applied)
            if ref.kind == "Deployment" and self.seen.deployment:
                self._deploy(self.seen.deployment, manifest["spec"].get("replicas"))
        for ref in () if self.interrupted else what.delete:
            self._delete(ref)
        self.told += [f"{e.type} {e.reason} {e.message}" for e in what.events]
        status = Status.from_body(json.loads(json.dumps(what.status.to_body())))
        self.seen = replace(self.seen, job=replace(self.seen.job, status=status))

    def _deploy(self, known: DeploymentSeen, says: int | None) -> None:
        """As server-side apply does it: what is not applied any more is reset, if it was ours."""
        left = 1 if known.pinned else known.replicas
        replicas = left if says is None else says
        deployed = replace(known, replicas=replicas, pinned=says is not None, observed=False)
        self.seen = replace(self.seen, deployment=deployed)

    def _create(self, manifest: dict[str, Any]) -> None:
        name, kind = manifest["metadata"]["name"], manifest["kind"]
        self.manifests[f"{kind}/{name}"] = manifest
        if kind == "PersistentVolumeClaim":
            claim = ClaimSeen(name, tuple(manifest["spec"]["accessModes"]))
            self.seen = replace(self.seen, claims={**self.seen.claims, name: claim})
        elif kind == "Artifact":
            self.records.append(artifact(manifest))
        else:
            notes = manifest["metadata"]["annotations"]
            number = int(manifest["metadata"]["labels"][labels.ATTEMPT])
            stage = notes[labels.STAGE_NAME]
            self.started.append(stage)
            attempt = AttemptSeen(
                name,
                stage,
                notes[labels.ADDRESS],
                number,
                claim=notes[labels.CLAIM],
                template=notes[labels.TEMPLATE],
            )
            self.seen = replace(self.seen, attempts=(*self.seen.attempts, attempt))

    def _delete(self, ref: Ref) -> None:
        if not (ref.kind == "Job" and self.lingers):
            self.manifests.pop(f"{ref.kind}/{ref.name}", None)
        if ref.kind == "Artifact":
            self.records = [r for r in self.records if r.name != ref.name]
        seen = self.seen
        gone = [a for a in seen.attempts if (ref.kind, a.name) == ("Job", ref.name)]
        ending = tuple(replace(a, deleting=True) for a in gone if self.lingers)
        self.seen = replace(
            seen,
            attempts=(*(a for a in seen.attempts if a not in gone), *ending),
            applied={r: h for r, h in seen.applied.items() if r != ref},
        )

    def _pod(self, stage: str, pod: PodSeen) -> "World":
        return self._replace(replace(self.attempt(stage), pod=pod))

    def _end(self, stage: str, report: Report, outcome: str, seconds: float) -> "World":
        attempt = self.attempt(stage)
        assert attempt.pod is not None
        assert attempt.pod.startedAt is not None
        self.now += timedelta(seconds=seconds)
        pod = replace(
            attempt.pod,
            phase="Succeeded" if outcome == "Complete" else "Failed",
            running=False,
            terminated="Completed",
            exitCode=0 if outcome == "Complete" else 1,
            finishedAt=self.now,
            output=report.to_json(),
        )
        return self._replace(replace(attempt, outcome=outcome, pod=pod))

    def _replace(self, attempt: AttemptSeen) -> "World":
        others = [attempt if a.name == attempt.name else a for a in self.seen.attempts]
        self.seen = replace(self.seen, attempts=tuple(others))
        return self.settle()
