"""What the controller promises, held against what is there when all is calm again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from apiserver.operators import Jobs

from chaos.people import all_of
from chaos.volume import Place, Volume
from olive_operator import labels, names, records
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status
from olive_operator.plan.graph import graph
from olive_operator.plan.keys import addresses

TRUE_IN: Final = {"Ready": {"Ready"}, "Suspended": set[str]()}
"""The conditions that are True in the phases in which a job may rest."""


def unfinished(jobs: Jobs) -> list[str]:
    """Jobs that are not where their spec wants them, and where they are."""
    found = []
    for job in all_of(jobs):
        status = job.get("status", {})
        newest = status.get("observedGeneration") == job["metadata"]["generation"]
        # A job that was done before it was suspended is Ready.
        ends = {"Ready", "Suspended"} if job["spec"].get("suspend") else {"Ready"}
        if not newest or status.get("phase") not in ends:
            stuck = [_of(s) for s in status.get("stages", []) if s["state"] != "Succeeded"]
            found.append(f"{job['metadata']['name']}: {status.get('phase')} {stuck}")
    return found


def violations(jobs: Jobs, volume: Volume) -> list[str]:
    """Where status, records, children and the volume do not agree, at rest."""
    found = all_of(jobs)
    recorded = {(a["spec"]["claim"], a["spec"]["key"]) for a in jobs.artifacts()}
    wrong = [
        *(f"{place[1][:8]} does not verify" for place in volume.there if not _whole(volume, place)),
        *(f"record of {place[1][:8]}: nothing is there" for place in _absent(recorded, volume)),
        *_children(jobs, found),
    ]
    for job in found:
        told = _Told(job, Status.from_body(job["status"]), volume, recorded)
        wrong += [f"{told.name}: {what}" for what in (*told.conditions(), *told.stages())]
        wrong += [f"{told.name}: {what}" for what in told.serving(jobs)]
    return wrong


@dataclass(frozen=True)
class _Told:
    """What the status of a job says, and what it has to agree with."""

    job: dict[str, Any]
    status: Status
    volume: Volume
    recorded: set[Place]

    @property
    def name(self) -> str:
        name: str = self.job["metadata"]["name"]
        return name

    def conditions(self) -> Iterator[str]:
        """They and the phase say the same, of the newest spec."""
        if self.status.phase not in TRUE_IN:
            yield f"it was at rest, and is {self.status.phase} again"
            return
        for condition in self.status.conditions:
            wanted = condition.type in TRUE_IN[self.status.phase]
            if condition.status != str(wanted):
                yield f"{self.status.phase}, and {condition.type} is {condition.status}"
            if condition.observedGeneration != self.job["metadata"]["generation"]:
                yield f"{condition.type} is of generation {condition.observedGeneration}"
        if {c.type for c in self.status.conditions} != {"Ready", "Reconciling", "Stalled"}:
            yield "a condition is not told of"

    def stages(self) -> Iterator[str]:
        """They are those of the spec, at its addresses, and what is done is on the volume."""
        stages = graph(Spec.from_body(self.job["spec"]))
        wanted = addresses(stages, {s.request: s.key for s in self.status.sources})
        done = sum(s.state == "Succeeded" for s in self.status.stages)
        if self.status.progress != f"{done}/{len(stages)}":
            yield f"{self.status.progress} done; it is {done}/{len(stages)}"
        if [s.name for s in self.status.stages] != [s.name for s in stages]:
            yield f"its stages are {[s.name for s in self.status.stages]}"
        for stage in self.status.stages:
            address, place = wanted[stage.name], (self.status.claim, stage.key)
            if stage.state != "Succeeded":
                if self.status.phase == "Ready" or stage.state in ("Running", "Failed"):
                    yield f"{self.status.phase}, and {stage.name} is {stage.state}"
            elif address is None or (address.name, address.key) != (stage.address, stage.key):
                yield f"{stage.name} is at another address than the spec's"
            elif stage.reason == "NotNeeded":
                continue
            elif not self.volume.verifies(place) and place not in self.volume.lost:
                yield f"{stage.name}: {stage.reason}, and the volume has nothing of it"
            elif place not in self.recorded | self.volume.forgotten | self.volume.lost:
                yield f"{stage.name}: {stage.reason}, and not recorded"

    def serving(self, jobs: Jobs) -> Iterator[str]:
        """What is served is what the spec wants, and on the volume; it is up where it is Ready."""
        configs, deployments = _of_job(jobs, self.name)
        serve, told = self.job["spec"].get("serve"), self.status.serving
        if self.status.phase != "Ready":
            return
        if serve is None:
            if configs or deployments or told:
                yield f"it serves nothing, and {[*configs, *deployments]} are there"
            return
        keys = {s.name: s.key for s in self.status.stages}
        served = [keys["export"], *(keys[f"adapter/{a['name']}"] for a in self._adapters())]
        name = names.serving_config(self.name, keys["export"])
        if set(configs) != {name} or sorted(configs[name]) != sorted(served):
            yield f"it is to serve {served}, and {configs} are there"
        if told is None or sorted((told.model, *(a.key for a in told.adapters))) != sorted(served):
            yield f"it is to serve {served}, and says {told}"
        up, found = serve.get("replicas", 1), list(deployments.values())
        if found != [up] or (told and (told.replicas, told.readyReplicas) != (up, up)):
            yield f"it is to have {up} replicas; there are {found}, and it says {told}"
        for key in served:
            if not (
                self.volume.verifies(place := (self.status.claim, key)) or place in self.volume.lost
            ):
                yield f"it serves {key[:8]}, and the volume has nothing of it"

    def _adapters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.job["spec"].get("adapters", [])
        return found


def _whole(volume: Volume, place: Place) -> bool:
    return volume.verifies(place) or place in volume.lost


def _absent(recorded: set[Place], volume: Volume) -> list[Place]:
    return [place for place in recorded if place not in volume.there.keys() | volume.lost]


def _of_job(jobs: Jobs, name: str) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    """The keys that its ConfigMaps serve, and the ready replicas of its Deployments, by name."""
    ours = f"{labels.JOB}={name}"
    configs = jobs.core.list_namespaced_config_map(jobs.namespace, label_selector=ours).items
    deployments = jobs.apps.list_namespaced_deployment(jobs.namespace, label_selector=ours).items
    return (
        {c.metadata.name: records.served({"data": c.data}) for c in configs},
        {d.metadata.name: d.status.ready_replicas or 0 for d in deployments},
    )


def _children(jobs: Jobs, found: list[dict[str, Any]]) -> Iterator[str]:
    """Each has its job, and no attempt is under way."""
    uids = {job["metadata"]["uid"] for job in found}
    lists = (
        jobs.batch.list_namespaced_job,
        jobs.core.list_namespaced_config_map,
        jobs.core.list_namespaced_service,
        jobs.apps.list_namespaced_deployment,
    )
    ours = f"{labels.MANAGED_BY}={labels.FIELD_MANAGER},{labels.COMPONENT}!=sweep"
    for of_kind in lists:
        for child in of_kind(jobs.namespace, label_selector=ours).items:
            meta = child.metadata
            if meta.owner_references[0].uid not in uids:
                since = f"{meta.creation_timestamp}, to be deleted since {meta.deletion_timestamp}"
                yield f"{meta.name} of {since}: its job is gone"
    for attempt in jobs.batch.list_namespaced_job(jobs.namespace, label_selector=ours).items:
        ended = {c.type for c in attempt.status.conditions or []} & {"Complete", "Failed"}
        if not ended and not attempt.metadata.deletion_timestamp:
            yield f"attempt {attempt.metadata.name}: under way, and every job is at its end"


def _of(stage: dict[str, Any]) -> str:
    words = (stage["name"], stage["state"], stage.get("reason", ""), stage.get("message", ""))
    return " ".join(words)[:200]
