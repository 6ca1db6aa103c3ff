"""Whatever happens, in whatever order: the plan against a cluster in memory, by Hypothesis.

People edit, nodes fail, watches fall behind, the operator crashes between any two effects. After
each step the plan has to keep what it promises, and when the faults stop every job has to come to
its end. ``HYPOTHESIS_PROFILE=long`` looks much further.
"""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from builders import NOON, adapter
from builders.cluster import ELSEWHERE, Cluster
from builders.objects import OF_SERVINGS
from builders.passes import Conflict, Operator
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from olive_contract.failures import FailureClass
from olive_operator import names
from olive_operator.api.seen import AttemptSeen
from olive_operator.api.status import Phase, StageStatus, State
from olive_operator.plan import Plan, sharing
from olive_operator.plan.waits import SHARED

COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}
settings.register_profile(
    "gate", max_examples=60, stateful_step_count=30, derandomize=True, database=None, **COMMON
)
settings.register_profile("long", max_examples=3000, stateful_step_count=60, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

NAMES = ("one", "two", "three")
REFUSABLE = ("fetch/model", "quantize", "export", "PersistentVolumeClaim", "ConfigMap")
CALIBRATION = {"source": "pvc://data/calibration.jsonl", "template": "{text}"}
HUB = {"huggingFace": {"repository": "acme/travel", "secretRef": "hub"}}
TWIN = {**adapter("travel"), "name": "twin"}
"""It is trained on the same data in the same way."""
CHANGES: tuple[dict[str, Any], ...] = (
    {"model": {"source": "pvc://models/other"}},
    {"model": {"source": "pvc://models/tiny"}},
    {"quantize": None},
    {"quantize": {"algorithm": "rtn", "groupSize": 32}},
    {"quantize": {"algorithm": "awq", "calibration": CALIBRATION}},
    {"adapters": []},
    {"adapters": [adapter("travel")]},
    {"adapters": [adapter("travel", rank=4)]},
    {"adapters": [adapter("travel"), {"name": "french", "source": "pvc://made/elsewhere"}]},
    {"adapters": [adapter("travel"), adapter("bad")]},
    {"adapters": [TWIN, adapter("travel")]},
    {"adapters": [adapter("bad"), {**adapter("bad"), "name": "worse"}]},
    {"evaluate": None},
    {"evaluate": {}},
    {"evaluate": {"gates": [{"metric": "perplexity", "max": 7}]}},
    {"publish": None},
    {"publish": HUB},
    {"publish": {**HUB, "oci": {"reference": "registry.example.com/travel:v1"}}},
    {"serve": None},
    {"serve": {}},
    {"serve": {"autoscaling": {"minReplicas": 2, "maxReplicas": 3}}},
    {"serve": {"route": {"parentRefs": [{"name": "public"}]}}},
    {"gpu": {"count": 0}},
    {"gpu": {"count": 2}},
    {"storage": {}},
    {"storage": {"claim": "shared"}},
    {"retry": {"limit": 0}},
    {"timeouts": {"export": "1m"}},
    {"ttlAfterFinished": "1m"},
    {"ttlAfterFinished": None},
    {"queue": "team"},
    {"queue": None},
)
SMALL: dict[str, Any] = {"evaluate": None, "serve": None, "adapters": []}
BEGINNINGS: tuple[dict[str, Any], ...] = (
    {},
    {"adapters": [adapter("travel")]},
    {"serve": {}},
    {"serve": {}, "adapters": [adapter("travel")]},
    {"serve": {}, "adapters": [adapter("travel")], "evaluate": {}, "publish": HUB},
    {"adapters": [adapter("travel"), TWIN]},
    {"storage": {"claim": "shared"}},
    {"quantize": {"algorithm": "awq", "calibration": CALIBRATION}},
)
NEVER_COMES_RIGHT = ("fetch/bad", "fetch/worse")
PASSES = 200
"""More than any three of these jobs need to come to their end."""


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.operator = Operator(self.cluster)
        self.sections: dict[str, dict[str, Any]] = {}
        self.passes: dict[str, Iterator[Plan]] = {}
        self.counts: dict[tuple[str, str], tuple[tuple[str, str, str], tuple[int, int, int]]] = {}
        self.spent: dict[str, int] = {}
        self.served: dict[str, set[str]] = {}
        self.mounted: dict[str, str] = {}
        self.lost: set[tuple[str, str]] = set()
        self.ended: set[str] = set()
        self.unseen: set[str] = set()
        self.blind = self.full = self.over = False

    # People

    @initialize(
        jobs=st.lists(st.sampled_from(BEGINNINGS), min_size=1, max_size=len(NAMES)),
        rounds=st.integers(0, 14),
    )
    def are_at_work(self, jobs: list[dict[str, Any]], rounds: int) -> None:
        """Jobs have come some way already: anywhere from nothing done to everything."""
        self.cluster.claim("shared", "ReadWriteMany")
        for name, beginning in zip(NAMES, jobs, strict=False):
            self.submit(name, beginning)
        self.go_well(rounds)

    @rule(name=st.sampled_from(NAMES), beginning=st.sampled_from(BEGINNINGS))
    def submit(self, name: str, beginning: dict[str, Any]) -> None:
        if name not in self.cluster.jobs:
            self.sections[name] = {**SMALL, **beginning}
            self.cluster.submit(name, **self.sections[name])

    @rule(name=st.sampled_from(NAMES), change=st.sampled_from(CHANGES))
    def edit(self, name: str, change: dict[str, Any]) -> None:
        if name in self.cluster.jobs:
            self.sections[name] = {**self.sections[name], **change}
            self.cluster.edit(name, **self.sections[name])

    @rule(name=st.sampled_from(NAMES))
    def suspend_or_resume(self, name: str) -> None:
        suspended = self.sections.get(name, {}).get("suspend", False)
        self.edit(name, {"suspend": not suspended})

    @rule(name=st.sampled_from(NAMES), replicas=st.integers(0, 2))
    def scale(self, name: str, replicas: int) -> None:
        self.edit(name, {"serve": {"replicas": replicas}})

    @rule(name=st.sampled_from(NAMES), replicas=st.integers(1, 3))
    def others_scale(self, name: str, replicas: int) -> None:
        """An autoscaler does, or a person: where the spec says how many, in vain."""
        self.cluster.scale(name, replicas)

    @rule(name=st.sampled_from(NAMES))
    def annotate_retry(self, name: str) -> None:
        if name in self.cluster.jobs:
            self.cluster.annotate_retry(name)

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        if name in self.cluster.jobs:
            self.cluster.remove(name)

    # The operator

    @rule(name=st.sampled_from(NAMES))
    def look(self, name: str) -> None:
        """A whole pass over one job, or what is left of one that has begun."""
        at_once = name not in self.passes
        if at_once:
            self.passes[name] = self.operator.work(name)
        found = self._go_on(name, 1000)
        operator, behind = self.operator, self.cluster.behind
        aside = any((behind, self.passes, operator.refusing, operator.unanswered))
        if at_once and found and not (aside or self.over):
            self._asks_for_nothing_more(name, found)

    @rule(name=st.sampled_from(NAMES), effects=st.integers(1, 4))
    def begin(self, name: str, effects: int) -> None:
        """A part of a pass; what else happens may come before the rest."""
        if name not in self.passes:
            self.passes[name] = self.operator.work(name)
            self._go_on(name, effects)

    @rule()
    @precondition(lambda self: self.passes)
    def crash(self) -> None:
        self.passes.clear()
        self.operator.crash()

    @rule(name=st.sampled_from(NAMES))
    def lose_an_answer(self, name: str) -> None:
        """The next status is written, and nobody hears of it but by the watch."""
        self.operator.unanswered.add(name)

    @rule(kind=st.sampled_from(("OptimizationJob", "Job", "Pod", "Artifact", "Deployment")))
    def fall_behind(self, kind: str) -> None:
        self.cluster.fall_behind(kind)
        self.blind = True

    @rule()
    @precondition(lambda self: self.cluster.behind)
    def catch_up(self) -> None:
        for kind in list(self.cluster.behind):
            self.cluster.catch_up(kind)

    @rule(what=st.sampled_from(REFUSABLE))
    def refuse(self, what: str) -> None:
        self.operator.refusing ^= {what}

    # The cluster

    @rule()
    def have_no_room(self) -> None:
        """No pod finds a node, until one day they all do."""
        self.full = not self.full

    @rule(rounds=st.integers(1, 4))
    def go_well(self, rounds: int) -> None:
        """Pods run and succeed, and the operator keeps up."""
        for _ in range(rounds):
            anew = not self.passes  # what goes on now was planned before
            for attempt in self.cluster.attempts():
                self._play(attempt)
            for name in NAMES:
                self.roll_out(name)
                self.look(name)
            if anew and not (self.cluster.behind or self.passes):
                self._no_work_is_done_twice()

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        if attempt := self._one(data, lambda a: not a.begun and not a.suspended):
            self.cluster.start(attempt.name, data.draw(st.sampled_from(("n1", "n2"))))

    @rule(
        data=st.data(),
        why=st.sampled_from(
            (
                {"unschedulable": "Insufficient nvidia.com/gpu"},
                {"unschedulable": ELSEWHERE},
                {"waiting": "ImagePullBackOff", "node": "n1"},
                {"waiting": "InvalidImageName", "node": "n1"},
                {"waiting": "ContainerCreating", "node": "n1"},
            )
        ),
    )
    def wait_for_something(self, data: st.DataObject, why: dict[str, str]) -> None:
        if attempt := self._one(data, lambda a: not a.begun and not a.suspended):
            self.cluster.pod(attempt.name, **why)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if attempt := self._one(data, _runs):
            self.cluster.finish(attempt.name)

    @rule(data=st.data(), failure=st.sampled_from(FailureClass))
    def fail(self, data: st.DataObject, failure: FailureClass) -> None:
        if attempt := self._one(data, _runs):
            self.cluster.fail(attempt.name, failure)

    @rule(data=st.data(), how=st.sampled_from(("evict", "lose_pod", "end", "suspend")))
    def disturb(self, data: st.DataObject, how: str) -> None:
        if attempt := self._one(data, lambda a: a.pod is not None and not a.ended):
            getattr(self.cluster, how)(attempt.name)

    @rule(data=st.data())
    def admit_or_go(self, data: st.DataObject) -> None:
        if attempt := self._one(data, lambda a: a.suspended or a.deleting):
            self._play(attempt)

    @rule(data=st.data(), too=st.booleans())
    def lose_an_artifact(self, data: st.DataObject, too: bool) -> None:
        """Of an artifact the record goes, or the files, or both."""
        records = sorted(self.cluster.real["Artifact"])
        if not records:
            return
        name = data.draw(st.sampled_from(records))
        seen = self.cluster.real["Artifact"][name].record.seen
        self.lost.add((seen.claim, seen.key))
        if too:
            self.cluster.store.discard((seen.claim, seen.key))
        else:
            self.cluster.forget(name)

    @rule(name=st.sampled_from(NAMES))
    def roll_out(self, name: str) -> None:
        self.cluster.roll_out(name)
        if found := self.cluster.real["Deployment"].get(f"{name}-serving"):
            self.mounted[name] = found.record.deployment.config
        else:
            self.mounted.pop(name, None)

    @rule(seconds=st.sampled_from((1, 15, 70, 700, 2000)))
    def pass_time(self, seconds: int) -> None:
        self.cluster.now += timedelta(seconds=seconds)

    # What holds after each step

    @invariant()
    def holds(self) -> None:
        self._counts_never_fall()
        self._nobody_begins_what_another_does_or_has_done()
        self._what_serves_stays()
        self._what_is_ready_is_rolled_out()

    def _counts_never_fall(self) -> None:
        """Unless the spec came to name other work in between, or somebody asked for a retry."""
        known = {}
        for job in self.cluster.jobs.values():
            for stage in job.status.stages:
                work = job.status.claim, stage.address, job.status.retriedAt
                counts = stage.attempt, stage.endedAttempt, stage.failures
                last, before = self.counts.get((job.uid, stage.name), (work, counts))
                if last[:2] == work[:2]:
                    assert counts[0] >= before[0], (stage, before)
                    assert counts[1] >= before[1], (stage, before)
                if last == work:
                    assert counts[2] >= before[2], (stage, before)
                known[job.uid, stage.name] = work, counts
            assert job.status.gpuSeconds >= self.spent.get(job.uid, 0)
            self.spent[job.uid] = job.status.gpuSeconds
        self.counts = known

    def _nobody_begins_what_another_does_or_has_done(self) -> None:
        for attempt, rivals in self.operator.started:
            for rival in rivals:
                pod = rival.pod
                stuck = rival.suspended or (pod and (pod.unschedulable or pod.waiting))
                late = pod is None and _age(rival, attempt) >= sharing.PATIENCE
                hopeless = (stuck or late) and not rival.begun
                assert self.blind or hopeless or self._is_lost(rival), (attempt, rival)
        self.operator.started.clear()
        ended = {a.name for a in self.cluster.attempts() if a.ended}
        if self.blind:
            self.unseen |= ended - self.ended
        self.ended = ended
        if not self.cluster.behind and not self.passes:
            self.blind = False
            self.lost -= self._recorded() - self._missed()

    def _recorded(self) -> set[tuple[str, str]]:
        """What is whole on a volume, and known to be."""
        records = (thing.record.seen for thing in self.cluster.real["Artifact"].values())
        return {(seen.claim, seen.key) for seen in records} & self.cluster.store

    def _missed(self) -> set[tuple[str, str]]:
        """What an attempt did not find on its volume: its record is going to be deleted."""
        reports = ((a.claim, a.pod.report) for a in self.cluster.attempts() if a.pod)
        return {(claim, report.missing) for claim, report in reports if report and report.missing}

    def _is_lost(self, attempt: AttemptSeen) -> bool:
        """It had made an artifact, of which something has gone since, or nobody saw it end."""
        report = attempt.pod.report if attempt.pod else None
        made = report and (attempt.claim, report.key)
        return made is not None and (made in self.lost or attempt.name in self.unseen)

    def _what_serves_stays(self) -> None:
        for name, job in self.cluster.jobs.items():
            found = self.cluster.real["Deployment"].get(f"{name}-serving")
            if found is None:
                self.served.pop(name, None)
                continue
            wanted = {a.name for a in job.spec.adapters}
            for config in {found.record.deployment.config, self.mounted.get(name, "")} - {""}:
                assert config in self.cluster.real["ConfigMap"] or job.spec.serve is None, config
            adapters = self.operator.serves(job)
            if job.spec.serve is not None:
                assert self.served.get(name, set()) & wanted <= adapters
            self.served[name] = adapters

    def _what_is_ready_is_rolled_out(self) -> None:
        for name, job in self.cluster.jobs.items():
            ready = job.status.condition("Ready")
            said_of_it = ready and (ready.status, ready.observedGeneration) == (
                "True",
                job.generation,
            )
            if said_of_it and job.spec.serve and not (self.blind or self.cluster.behind):
                found = self.cluster.real["Deployment"][f"{name}-serving"].record.deployment
                wanted = job.spec.serve.replicas
                assert wanted is None or wanted == found.replicas or not found.pinned

    def teardown(self) -> None:
        """The faults stop, and every job comes to its end."""
        self.over = True
        self.operator.refusing.clear()
        self.full = False
        for name in list(self.passes):
            self._go_on(name, 1000)
        self.catch_up()
        for _ in range(PASSES):
            if not self._comes_further():
                break
        else:
            raise AssertionError(
                f"no rest: {[j.status.stages for j in self.cluster.jobs.values()]}"
            )
        for name, job in self.cluster.jobs.items():
            status = job.status
            assert status.phase in (Phase.READY, Phase.FAILED, Phase.SUSPENDED), status
            assert (status.phase == Phase.SUSPENDED) <= job.spec.suspend
            assert not self.cluster.under_way(name)
            assert status.observedGeneration == job.generation
            self._is_true(name)
            self._has_just_the_children_that_are_asked_for(name)
        assert self.cluster.jobs or not self.cluster.attempts()

    def _has_just_the_children_that_are_asked_for(self, name: str) -> None:
        job = self.cluster.jobs[name]
        there = {k for k in OF_SERVINGS if self.cluster.owned(k, job.uid)}
        if job.status.serving is None:
            assert there == set()
            return
        serve, optional = job.spec.serve, {"HorizontalPodAutoscaler", "HTTPRoute"}
        assert serve is not None
        asked = {"HorizontalPodAutoscaler": serve.autoscaling, "HTTPRoute": serve.route}
        assert there == {k for k in OF_SERVINGS if k not in optional or asked[k] is not None}
        found = self.cluster.real["Deployment"][f"{name}-serving"].record.deployment
        if serve.replicas is not None:
            assert found.replicas == serve.replicas

    def _comes_further(self) -> bool:
        """One step of whoever has one to take; whether anybody had."""
        cluster, operator = self.cluster, self.operator
        if poked := [*cluster.poked, *operator.asks()]:
            for name in poked:
                self.look(name)
            return True
        self._no_work_is_done_twice()
        if [attempt for attempt in cluster.attempts() if self._play(attempt)]:
            return True
        if waiting := [name for name in cluster.jobs if self._rolls_out(name)]:
            for name in waiting:
                self.roll_out(name)
            return True
        due = [at for name, at in operator.again.items() if name in cluster.jobs]
        if not due:
            return False
        cluster.now = max(cluster.now, min(due))
        cluster.poke(("ml", name) for name, at in operator.again.items() if at <= cluster.now)
        return True

    def _no_work_is_done_twice(self) -> None:
        """When every job has been looked at."""
        at_work = [a for a in self.cluster.under_way() if a.begun and not a.deleting]
        most = Counter((a.claim, a.address) for a in at_work).most_common(1)
        assert not most or most[0][1] == 1, at_work

    def _rolls_out(self, name: str) -> bool:
        found = self.cluster.real["Deployment"].get(f"{name}-serving")
        seen = found.record.deployment if found else None
        rolled_out = seen is not None and (
            seen.observed and seen.replicas == seen.ready == seen.total == seen.updated
        )
        return seen is not None and (not rolled_out or bool(self.cluster.autoscales_to(name)))

    def _is_true(self, name: str) -> None:
        """The status tells what is there."""
        job = self.cluster.jobs[name]
        status = job.status
        attempts = {a.name: a for a in self.cluster.attempts(name)}

        def latest(stage: StageStatus) -> str:
            return names.attempt(
                name, job.uid, stage.name, stage.address, status.claim, stage.attempt
            )

        for stage in status.stages:
            there = attempts.get(latest(stage))
            if stage.state == State.RUNNING:
                assert there is not None
                assert there.pod is not None
                assert there.pod.running
                assert stage.node == there.pod.node
            elif stage.state == State.FAILED:
                tries = (latest(other) for other in status.stages if other.address == stage.address)
                made_to = any((name, stage.reason) in self.cluster.failed for name in tries)
                assert made_to or "and has not begun" in stage.message, stage
            elif stage.reason == "Built":
                assert (status.claim, stage.key) in self.cluster.built
            elif stage.reason == SHARED:
                place = status.claim, stage.address
                under_way = [a for a in self.cluster.attempts() if (a.claim, a.address) == place]
                assert [a for a in under_way if a.name not in attempts], stage
            elif stage.state == State.PENDING and stage.reason in ("PodNotCreated", "Scheduling"):
                assert there is not None, stage
        at_its_end = status.phase in (Phase.SUSPENDED, Phase.READY, Phase.FAILED)
        if job.spec.suspend or at_its_end:
            assert all(a.deleting or a.ended for a in attempts.values())

    # How steps are made

    def _one(self, data: st.DataObject, which: Any) -> AttemptSeen | None:
        found = sorted((a for a in self.cluster.attempts() if which(a)), key=lambda a: a.name)
        return data.draw(st.sampled_from(found)) if found else None

    def _go_on(self, name: str, effects: int) -> Plan | None:
        """So many effects more; the plan if all of it is carried out."""
        found = None
        try:
            for _ in range(effects):
                found = next(self.passes[name])
                self._what_is_ready_is_rolled_out()
            return None
        except StopIteration:
            pass
        except Conflict:
            found = None
        del self.passes[name]
        return found

    def _asks_for_nothing_more(self, name: str, last: Plan) -> None:
        """Planned again it asks for nothing, unless for what is to follow something's deletion.

        The status may tell of what the passes before have done.
        """
        for _ in range(3):
            job = self.operator.knows(name)
            if job is None:
                return
            again = self.operator.plan(job)
            if not last.delete:
                assert not again.create, [m["metadata"]["name"] for m in again.create]
                assert not again.apply
                assert not again.delete
            if not again.create and again.status.to_body() == job.status.to_body():
                self._is_true(name)
                return
            last = list(self.operator.work(name))[-1]
        raise AssertionError(f"it never comes to rest: {job}")

    def _play(self, attempt: AttemptSeen) -> bool:
        """One step of the attempt's life if all goes well; whether there was one to take."""
        cluster, name = self.cluster, attempt.name
        if attempt.deleting:
            cluster.gone(name)
        elif attempt.ended:
            return False
        elif attempt.suspended:
            cluster.suspend(name, False)
        elif not attempt.begun and self.full:
            cluster.pod(name, unschedulable="0/2 nodes are available: 2 Insufficient cpu.")
        elif not attempt.begun:
            cluster.start(name)
        elif attempt.stage in NEVER_COMES_RIGHT:
            cluster.fail(name, FailureClass.INVALID_INPUT)
        else:
            cluster.finish(name)
        return True


def _age(attempt: AttemptSeen, than: AttemptSeen) -> timedelta:
    """How much earlier it was made."""
    return (than.createdAt or NOON) - (attempt.createdAt or NOON)


def _runs(attempt: AttemptSeen) -> bool:
    return attempt.pod is not None and attempt.pod.running


TestPlan = Machine.TestCase
