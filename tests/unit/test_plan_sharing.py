"""Jobs that need the same artifact: whoever has begun makes it; nobody waits for who cannot."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from builders.cluster import Cluster
from builders.passes import Conflict, Operator

from olive_contract.failures import FailureClass
from olive_operator.api.status import StageStatus, State, Status
from olive_operator.plan.limits import STALLED_AFTER
from olive_operator.plan.sharing import UNSEEN, freed

ALONE: dict[str, Any] = {"serve": None, "evaluate": None, "adapters": []}
MODEL = "fetch/model"


class Two:
    """The jobs ``one`` and ``two``, which are made from the same model in the same way.

    ``unlike``: the pods of the second have another priority, and may be given a place before.
    """

    def __init__(self, *, unlike: bool = False) -> None:
        self.cluster = Cluster()
        self.operator = Operator(self.cluster)
        for name, more in (("one", {}), ("two", {"priorityClassName": "high"} if unlike else {})):
            self.cluster.submit(name, **ALONE, **more)
            self.look()

    def look(self, first: str = "one") -> "Two":
        """Whatever is poked is looked at, until nothing is."""
        for _ in range(30):
            if not self.cluster.poked:
                return self
            for name in sorted(self.cluster.poked, key=lambda name: name != first):
                with suppress(Conflict):
                    for _ in self.operator.work(name):
                        pass
        raise AssertionError("the jobs poke each other for ever")

    def quantizes(self) -> "Two":
        """The first's quantization runs, and the second waits for it."""
        self.finish("fetch/model", "fetch/model")
        self.cluster.start(self.quantization("one"))
        assert self.look().stage("two", "quantize").reason == "BuiltByAnotherJob"
        return self

    def quantization(self, job: str) -> str:
        return next(a for a in self.attempts(job) if "quantize" in a)

    def begun(self, stage: str) -> int:
        """How many attempts at it were made, whichever job's."""
        return sum(attempt.stage == stage for attempt, _ in self.operator.started)

    def attempts(self, job: str) -> list[str]:
        return [a.name for a in self.cluster.attempts(job)]

    def attempt(self, job: str) -> str:
        [name] = self.attempts(job)
        return name

    def stage(self, job: str, name: str = MODEL) -> StageStatus:
        found = self.cluster.jobs[job].status.stage_named(name)
        assert found is not None
        return found

    def finish(self, *stages: str) -> None:
        """One attempt after the other goes well, whichever job's it is."""
        for stage in stages:
            attempt = next(a.name for a in self.cluster.under_way() if a.stage == stage)
            self.cluster.start(attempt)
            self.cluster.finish(attempt)
            self.look()

    def finish_all(self) -> "Two":
        """Everything goes well from here on."""
        for _ in range(40):
            for attempt in self.cluster.under_way():
                self.cluster.start(attempt.name)
                self.cluster.finish(attempt.name)
            self.look()
        return self


def test_second_waits_for_the_first_and_says_so() -> None:
    two = Two()
    assert two.attempts("two") == []
    assert (two.stage("two").state, two.stage("two").reason) == ("Pending", "BuiltByAnotherJob")
    wanted = "job one makes the same artifact and is about to run; it is made once"
    assert two.stage("two").message == wanted
    two.cluster.start(two.attempt("one"))
    assert "and runs" in two.look().stage("two").message


def test_everything_is_made_once() -> None:
    two = Two().finish_all()
    assert {job.status.phase for job in two.cluster.jobs.values()} == {"Ready"}
    assert len(two.cluster.built) == len(set(two.cluster.built)) == 3


def test_when_the_first_gives_up_the_second_takes_over() -> None:
    two = Two()
    two.cluster.start(two.attempt("one"))
    two.cluster.fail(two.attempt("one"), FailureClass.AUTH_DENIED)
    two.look()
    assert two.stage("one").state == "Failed"
    assert len(two.attempts("two")) == 1


def test_when_the_first_is_deleted_the_second_takes_over_once_its_pod_is_gone() -> None:
    two = Two()
    first = two.attempt("one")
    two.cluster.start(first)
    two.cluster.remove("one")
    two.look()
    assert two.attempts("two") == [], "the pod may still be writing"
    two.cluster.gone(first)
    two.look()
    assert len(two.attempts("two")) == 1


def edits_its_model(two: Two) -> None:
    two.cluster.edit("one", **ALONE, model={"source": "pvc://models/other"})


def edits_its_claim_too(two: Two) -> None:
    storage, model = {"claim": "shared"}, {"source": "pvc://models/other"}
    two.cluster.edit("one", **ALONE, model=model, storage=storage)


def ends_well(two: Two) -> None:
    two.cluster.finish(two.quantization("one"))


def is_evicted(two: Two) -> None:
    two.cluster.evict(two.quantization("one"))


@pytest.mark.parametrize("looks_first", ["one", "two"])
@pytest.mark.parametrize(
    ("then", "at_last"),
    [
        (edits_its_model, is_evicted),
        (is_evicted, edits_its_model),
        (is_evicted, edits_its_claim_too),
    ],
)
def test_what_has_failed_and_may_not_be_wanted_any_more_is_not_waited_for(
    then: Callable[[Two], None], at_last: Callable[[Two], None], looks_first: str
) -> None:
    """Its job tells of it when it knows what its new model is, and that may never come."""
    two = Two().quantizes()
    then(two)
    if then is edits_its_model:
        assert two.look().stage("two", "quantize").reason == "BuiltByAnotherJob", "it runs on"
    at_last(two)
    two.look(looks_first)
    assert two.quantization("two")


@pytest.mark.parametrize("looks_first", ["one", "two"])
@pytest.mark.parametrize(
    ("then", "at_last"), [(edits_its_model, ends_well), (ends_well, edits_its_model)]
)
def test_what_was_made_is_found_though_its_job_may_not_want_it_any_more(
    then: Callable[[Two], None], at_last: Callable[[Two], None], looks_first: str
) -> None:
    two = Two().quantizes()
    then(two)
    at_last(two)
    two.look(looks_first)
    assert two.stage("two", "quantize").reason == "Cached"
    assert two.begun("quantize") == 1
    assert two.stage("one", "quantize").reason == "WaitingForInputs"


@pytest.mark.parametrize("effects", [1, 2], ids=["it is withdrawn", "it is told to end, too"])
def test_what_is_made_by_what_was_withdrawn_is_not_made_by_another(effects: int) -> None:
    two = Two().quantizes()
    two.cluster.edit("one", **ALONE, suspend=True)
    withdraws = two.operator.work("one")
    for _ in range(effects):
        next(withdraws)
    assert two.stage("one", "quantize").endedAttempt == 1
    [quantizing] = [a for a in two.cluster.attempts("one") if a.stage == "quantize"]
    assert quantizing.deleting == (effects == 2)
    two.cluster.finish(two.quantization("one"))
    two.look("two")
    assert two.stage("two", "quantize").reason == "Cached"
    assert two.begun("quantize") == 1
    assert two.stage("one", "quantize").reason == "Built"


def test_end_is_told_to_others_though_nobody_heard_that_it_was_written() -> None:
    two = Two()
    two.cluster.start(two.attempt("one"))
    two.cluster.fail(two.attempt("one"), FailureClass.AUTH_DENIED)
    two.operator.unanswered.add("one")
    two.look("two")
    assert two.stage("one").state == "Failed"
    assert len(two.attempts("two")) == 1


def stage_at(address: str, **fields: Any) -> Status:
    return Status(stages=(StageStatus("quantize", State.PENDING, address=address, **fields),))


@pytest.mark.parametrize(
    ("before", "after", "free"),
    [
        (stage_at("a"), stage_at("a", attempt=1), set()),
        (stage_at("a", attempt=1), stage_at("a", attempt=1, endedAttempt=1), {"a"}),
        (
            stage_at("a", attempt=1, endedAttempt=1),
            stage_at("a", attempt=1, endedAttempt=1, finishedAt="2026-11-22T00:00:00Z"),
            {"a"},
        ),
        (stage_at("a", attempt=1), stage_at("a", attempt=1, reason="PodRefused"), {"a"}),
        (stage_at("a", attempt=1), stage_at("a", attempt=1, reason="WaitingForInputs"), {"a"}),
        (stage_at("a", attempt=1), stage_at("", reason="WaitingForInputs"), {"a"}),
        (stage_at("", reason="WaitingForInputs"), stage_at("b"), set()),
    ],
    ids=[
        "it begins",
        "it has ended",
        "it had finished when it was withdrawn",
        "it gets no pod",
        "it may not be wanted any more",
        "nor on this claim",
        "it is known what is wanted",
    ],
)
def test_where_others_may_begin(before: Status, after: Status, free: set[str]) -> None:
    assert freed(before, after) == free


def test_who_cannot_begin_is_not_waited_for_and_whoever_begins_first_makes_it() -> None:
    two = Two(unlike=True)
    two.cluster.pod(two.attempt("one"), unschedulable="Insufficient cpu")
    two.look()
    assert len(two.attempts("two")) == 1
    two.cluster.start(two.attempt("two"))
    two.look()
    assert two.attempts("one") == [], "withdrawn"
    assert two.stage("one").failures == 0
    assert two.stage("one").message.startswith("job two makes the same artifact and runs")


def test_of_two_that_began_at_the_same_time_the_older_goes_on() -> None:
    two = Two(unlike=True)
    two.cluster.pod(two.attempt("one"), unschedulable="Insufficient cpu")
    two.look()
    for job in ("one", "two"):
        two.cluster.start(two.attempt(job))
    two.look()
    assert len(two.attempts("one")) == 1
    ending = [a for a in two.cluster.attempts("two") if not a.deleting]
    assert ending == []


@pytest.mark.parametrize("held", ["by the scheduler", "by its queue"])
def test_where_there_is_no_place_for_the_first_there_is_none_for_one_just_like_it(
    held: str,
) -> None:
    two = Two()
    first = two.attempt("one")
    if held == "by its queue":
        two.cluster.suspend(first)
    else:
        two.cluster.pod(first, unschedulable="Insufficient cpu")
    assert two.look().attempts("two") == []
    assert "two" not in two.operator.again, "the end of the first one's attempt wakes it"
    two.cluster.remove("one")
    two.cluster.gone(first)
    assert len(two.look().attempts("two")) == 1


def test_of_many_that_ask_beside_one_that_cannot_begin_one_does() -> None:
    two = Two()
    for name in ("three", "four"):
        two.cluster.submit(name, **ALONE, priorityClassName="high")
    two.look()
    two.cluster.pod(two.attempt("one"), unschedulable="Insufficient cpu")
    two.look()
    assert len(two.attempts("three") + two.attempts("four")) == 1
    [second] = two.attempts("three") + two.attempts("four")
    two.cluster.pod(second, unschedulable="Insufficient cpu")
    two.look()
    assert len(two.attempts("three") + two.attempts("four")) == 1, "they are alike"
    assert two.attempts("two") == []


def test_what_another_job_waits_for_in_its_queue_is_no_reason_to_wait() -> None:
    two = Two(unlike=True)
    two.cluster.suspend(two.attempt("one"))
    two.look()
    assert len(two.attempts("two")) == 1


def test_who_withdrew_does_not_begin_beside_the_other_when_its_own_pod_is_evicted() -> None:
    two = Two(unlike=True)
    two.cluster.pod(two.attempt("one"), unschedulable="Insufficient cpu")
    two.look()
    two.cluster.start(two.attempt("two"))
    two.cluster.evict(two.attempt("one"))
    two.look()
    assert [a.number for a in two.cluster.attempts("one") if not a.ended] == []
    assert two.stage("one").reason == "BuiltByAnotherJob"


def test_an_operator_that_is_killed_before_the_first_attempt_is_made_doubles_nothing() -> None:
    cluster = Cluster()
    operator = Operator(cluster)
    for name in ("one", "two"):
        cluster.submit(name, **ALONE)
    a_pass = operator.work("one")
    next(a_pass)  # the claim
    next(a_pass)  # the status, which counts the attempt
    operator.crash()
    for name in ("two", "one", "two"):
        for _ in operator.work(name):
            pass
    assert len(cluster.attempts()) == 1


def test_an_attempt_that_was_asked_for_and_never_comes_is_waited_for_only_so_long() -> None:
    cluster = Cluster()
    operator = Operator(cluster)
    for name in ("one", "two"):
        cluster.submit(name, **ALONE)
    hangs = operator.work("one")
    next(hangs)  # the claim; nothing more of this pass ever arrives
    for _ in operator.work("two"):
        pass
    assert cluster.attempts() == []
    assert operator.again["two"] == cluster.now + UNSEEN
    cluster.now = operator.again["two"]
    for _ in operator.work("two"):
        pass
    assert len(cluster.attempts("two")) == 1


def test_pod_that_does_not_begin_on_its_node_is_not_waited_for() -> None:
    two = Two()
    made = two.cluster.now
    two.cluster.pod(two.attempt("one"), node="n1", waiting="ContainerCreating")
    two.look()
    assert two.attempts("two") == []
    two.cluster.now = two.operator.again["two"]
    assert two.cluster.now == made + STALLED_AFTER
    two.cluster.poke([("ml", "two")])
    two.look()
    assert len(two.attempts("two")) == 1
