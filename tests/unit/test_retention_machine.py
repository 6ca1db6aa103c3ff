"""Sweeping a store while everything else goes on: the operator stopped between any two effects.

Jobs come and go, the operator's two loops take turns effect by effect and crash, watches fall
behind, the sweep's pod is stopped half-way. At no instant is there a record of what is not whole,
and nothing is removed that somebody works with; in the end everything unused is gone.
``HYPOTHESIS_PROFILE=long`` looks much further.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from builders import adapter
from builders.keeping import Keeper, Planner, Swept
from builders.passes import Conflict
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from olive_operator.api.seen import JobSeen
from olive_operator.config import Retention
from olive_operator.plan import Plan

NAMES = ("one", "two")
SPECS: tuple[dict[str, Any], ...] = (
    {"adapters": [], "evaluate": None, "serve": None},
    {"adapters": [], "evaluate": None, "serve": {}},
    {"adapters": [], "evaluate": None, "serve": {}, "quantize": None},
    {"adapters": [adapter("travel")], "evaluate": None, "serve": {}},
    {"adapters": [], "evaluate": None, "serve": None, "model": {"source": "pvc://models/other"}},
)
POLICIES = (Retention(), Retention(maxSize="6"), Retention(retention="", maxSize="1"))
DAYS = (timedelta(minutes=30), timedelta(hours=2), timedelta(days=40))


class Machine(RuleBasedStateMachine):
    @initialize(
        policy=st.sampled_from(POLICIES),
        specs=st.lists(st.sampled_from(SPECS), min_size=1, max_size=2),
        left=st.sampled_from((0, 0, 1)),
        looks=st.integers(0, 4),
    )
    def begins(
        self, policy: Retention, specs: list[dict[str, object]], left: int, looks: int
    ) -> None:
        """Jobs have made artifacts and are gone, most of them, and the store is being swept."""
        self.cluster = Swept()
        self.operator = Planner(self.cluster)
        self.keeper = Keeper(self.cluster, self.operator, policy)
        self.passes: dict[str, Iterator[Plan]] = {}
        for name, spec in zip(NAMES, specs, strict=False):
            self.ask_for(name, spec)
        self.go_well(16)
        for name in list(self.cluster.jobs)[left:]:
            self.remove(name)
        self.keeper.step()
        self.cluster.now += timedelta(days=40)
        for _ in range(looks):
            self.keeper.step()

    # People

    @rule(name=st.sampled_from(NAMES), spec=st.sampled_from(SPECS))
    def ask_for(self, name: str, spec: dict[str, object]) -> None:
        if name in self.cluster.jobs:
            self.cluster.edit(name, **spec)
        else:
            self.cluster.submit(name, **spec)

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        if name in self.cluster.jobs:
            self.cluster.remove(name)

    # The operator

    @rule(name=st.sampled_from(NAMES), effects=st.sampled_from((1, 2, 3, 1000)))
    def plan(self, name: str, effects: int) -> None:
        """Some effects of a pass over a job."""
        if name not in self.passes:
            self.passes[name] = self.operator.work(name)
        try:
            for _ in range(effects):
                next(self.passes[name])
        except (StopIteration, Conflict):
            del self.passes[name]

    @rule(effects=st.sampled_from((0, 1, 2, 1000)))
    def keep(self, effects: int) -> None:
        """Some effects of a look at the stores."""
        self.keeper.step(effects)

    @rule()
    def crash(self) -> None:
        self.passes.clear()
        self.keeper.crash()
        self.operator.crash()

    @rule(kind=st.sampled_from(("OptimizationJob", "Job", "Pod", "Artifact", "ConfigMap")))
    def fall_behind(self, kind: str) -> None:
        self.cluster.fall_behind(kind)

    @rule()
    @precondition(lambda self: self.cluster.behind)
    def catch_up(self) -> None:
        for kind in list(self.cluster.behind):
            self.cluster.catch_up(kind)

    # The cluster

    @rule(rounds=st.integers(1, 12))
    def go_well(self, rounds: int) -> None:
        for _ in range(rounds):
            self._round()

    @rule(last=st.booleans())
    def pod(self, last: bool) -> None:
        """One attempt's pod starts, or is done."""
        attempts = sorted(self.cluster.under_way(), key=lambda a: a.name)
        if attempts:
            self._play(attempts[-1 if last else 0].name)

    @rule(steps=st.sampled_from((0, 1, 1000)))
    @precondition(lambda self: self.cluster.sweeps)
    def sweep(self, steps: int) -> None:
        for name in self.cluster.sweeps:
            self.cluster.sweep(name, steps)

    @rule(span=st.sampled_from(DAYS))
    def time_passes(self, span: timedelta) -> None:
        self.cluster.now += span

    # What holds

    @invariant()
    def every_record_is_of_what_is_whole(self) -> None:
        for artifact in self.cluster.artifacts.values():
            seen = artifact.seen
            assert (seen.claim, seen.key) in self.cluster.store, f"{seen.key[:8]} is not there"

    @invariant()
    def nothing_was_taken_from_who_works_with_it(self) -> None:
        assert not self.cluster.broken

    def teardown(self) -> None:
        """The faults stop: jobs come to their end, and what nothing refers to goes."""
        self.catch_up()
        for name in list(self.passes):
            self.plan(name, 1000)
        for _ in range(60):
            self._round()
            self.keeper.step()
            self.sweep(1000)
            # A pod that was lost twice is not made anew at once.
            self.cluster.now += timedelta(minutes=1)
            if all(self._at_its_end(job) for job in self.cluster.jobs.values()):
                break
        else:
            raise AssertionError("a job never comes to its end")
        self.every_record_is_of_what_is_whole()
        self.nothing_was_taken_from_who_works_with_it()
        for name in self.cluster.jobs:
            self.cluster.remove(name)
        for _ in range(4):
            self.keeper.step()
            self.cluster.now += timedelta(days=40)
            for _ in range(4):
                self.keeper.step()
                self.sweep(1000)
        assert not self.cluster.artifacts
        assert not [s for s in self.cluster.sweeps.values() if not s.seen.over]

    @staticmethod
    def _at_its_end(job: JobSeen) -> bool:
        done, _, stages = job.status.progress.partition("/")
        return job.status.observedGeneration == job.generation and done == stages

    def _round(self) -> None:
        for attempt in self.cluster.under_way():
            self._play(attempt.name)
        for name in NAMES:
            self.cluster.roll_out(name)
            self.plan(name, 1000)

    def _play(self, name: str) -> None:
        found = {a.name: a for a in self.cluster.attempts()}[name]
        if not found.begun:
            self.cluster.start(name)
        elif found.deleting:
            self.cluster.gone(name)
        else:
            self.cluster.finish(name)


LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=2000 if LONG else 40,
    stateful_step_count=60 if LONG else 40,
    derandomize=not LONG,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
