"""One trace for a job: a span for each attempt, told once, whoever tells it; and a root."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from builders import NOON, World

from olive_contract.failures import FailureClass
from olive_operator.api.seen import JobSeen
from olive_operator.api.status import Status
from olive_operator.tracing import SUPERSEDED, WITHDRAWN, Span, ended

NO_SERVING = {"serve": None, "adapters": None, "evaluate": None}


class Watched:
    """A job, looked at when told: the spans that ended between two looks."""

    def __init__(self, world: World) -> None:
        self.world, self.spans = world, list[Span]()
        self._last: JobSeen = world.seen.job
        world.settle()
        self.look()

    def look(self) -> "Watched":
        self.spans += ended(self._last, self.world.status, self.world.now)
        self._last = self.world.seen.job
        return self

    def through(self, *stages: str) -> "Watched":
        """The stages succeed, one after the other."""
        for stage in stages:
            self.world.finish(stage)
            self.look()
        return self

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def test_job_that_goes_through_is_one_trace() -> None:
    job = Watched(World(**NO_SERVING)).through("fetch/model", "quantize", "export")
    *stages, root = job.spans
    assert [span.name for span in stages] == ["fetch", "quantize", "export"]
    assert {span.trace for span in job.spans} == {root.trace}
    assert {span.parent for span in stages} == {root.id}
    assert (root.name, root.parent, root.error) == ("OptimizationJob", 0, "")
    assert root.attributes == {
        "k8s.namespace.name": "ml",
        "olive.job.name": "travel",
        "olive.gpu.seconds": 0,
        "olive.generation": 1,
        "olive.outcome": "Ready",
    }
    assert (root.start, root.end) == (NOON, job.world.now)


def test_first_status_ends_nothing() -> None:
    """Before it, the API server gives a job the default of its definition."""
    default = Status.from_body({"observedGeneration": -1})
    world = World(**NO_SERVING)
    fresh = replace(world.seen.job, status=default)
    world.settle()
    assert list(ended(fresh, world.status, world.now)) == []


def test_span_of_an_attempt_says_what_ran_where_and_when() -> None:
    job = Watched(World(**NO_SERVING)).through("fetch/model")
    [span] = job.spans
    assert (span.end - span.start).total_seconds() == 10
    assert span.attributes == {
        "k8s.namespace.name": "ml",
        "k8s.node.name": "n1",
        "k8s.pod.name": job.world.stage("fetch/model").pod,
        "olive.gpu.seconds": 0,
        "olive.job.name": "travel",
        "olive.outcome": "Succeeded",
        "olive.stage.attempt": 1,
        "olive.stage.kind": "fetch",
        "olive.stage.name": "fetch/model",
    }


def test_each_attempt_has_a_span_and_its_failure() -> None:
    job = Watched(World(**NO_SERVING))
    job.world.fail("fetch/model", FailureClass.DISK_FULL)
    job.look()
    job.world.until_retry("fetch/model")
    job.through("fetch/model")
    first, second = job.spans
    assert first.error == "DiskFull: it broke"
    assert (first.attributes["error.type"], first.attributes["olive.outcome"]) == (
        "DiskFull",
        "DiskFull",
    )
    assert (second.error, second.attributes["olive.stage.attempt"]) == ("", 2)
    assert first.id != second.id


def test_job_that_fails_ends_its_trace_with_why() -> None:
    job = Watched(World(**NO_SERVING))
    job.world.fail("fetch/model", FailureClass.INVALID_INPUT)
    _, root = job.look().spans
    assert root.attributes["olive.outcome"] == "Failed"
    assert root.error.startswith("InvalidInput: fetch/model: it broke")


def test_serving_that_ceases_to_answer_for_a_while_does_not_end_its_job_again() -> None:
    job = Watched(World(adapters=None, evaluate=None)).through("fetch/model", "quantize", "export")
    job.world.wait(60).roll_out()
    assert len(job.look().named("OptimizationJob")) == 1
    told = list(job.spans)
    job.world.wait(60).scale(1, ready=0)
    assert job.look().world.status.phase == "Running"
    job.world.wait(60).scale(1, ready=1)
    assert job.look().world.status.phase == "Ready"
    assert job.spans == told


def test_retry_begins_another_trace() -> None:
    job = Watched(World(**NO_SERVING))
    job.world.fail("fetch/model", FailureClass.INVALID_INPUT)
    job.look().world.wait(100).annotate_retry("again")
    job.look().through("fetch/model", "quantize", "export")
    failed, done = job.named("OptimizationJob")
    assert failed.trace != done.trace
    assert (done.start - failed.end).total_seconds() == 100
    assert ids(job.spans) == len(job.spans)


def test_edit_ends_the_trace_of_what_it_replaces() -> None:
    job = Watched(World(**NO_SERVING)).through("fetch/model")
    job.world.run("quantize")
    job.look().world.edit(**NO_SERVING, quantize={"algorithm": "rtn", "groupSize": 64})
    job.look().through("quantize", "export")
    first, second = job.named("OptimizationJob")
    assert first.attributes["olive.outcome"] == SUPERSEDED
    assert second.attributes["olive.outcome"] == "Ready"
    spans = {s.trace: [x.name for x in job.spans if x.trace == s.trace] for s in job.spans}
    assert spans[first.trace] == ["fetch", "OptimizationJob"]
    assert spans[second.trace] == ["quantize", "export", "OptimizationJob"]


def test_suspended_attempt_is_withdrawn_not_failed() -> None:
    job = Watched(World(**NO_SERVING))
    job.world.run("fetch/model").wait(30)
    job.look().world.edit(**NO_SERVING, suspend=True)
    attempt = job.look().named("fetch")[0]
    assert (attempt.attributes["olive.outcome"], attempt.error) == (WITHDRAWN, "")
    assert (attempt.end - attempt.start).total_seconds() == 30


def test_attempt_that_ends_well_while_its_inputs_are_made_anew_has_succeeded() -> None:
    job = Watched(World(**NO_SERVING)).through("fetch/model", "quantize")
    job.world.run("export")
    job.look().world.edit(**NO_SERVING, model={"source": "pvc://models/other"})
    job.look().world.finish("export")
    [attempt] = job.look().named("export")
    assert attempt.attributes["olive.outcome"] == "Succeeded"


def test_what_was_in_the_store_has_no_span() -> None:
    job = Watched(World(**NO_SERVING)).through("fetch/model", "quantize", "export")
    told = len(job.spans)
    job.world.edit(**NO_SERVING, quantize={"algorithm": "rtn", "groupSize": 64})
    job.look().through("quantize", "export")
    again = len(job.spans)
    job.world.edit(**NO_SERVING)
    job.look()
    assert again > told
    assert len(job.spans) == again


def test_operator_that_takes_over_goes_on_and_doubles_nothing() -> None:
    """Each status is told of once by who has written it; a successor begins from the last."""
    whole = list(_statuses())
    straight = [s for job, after, at in whole for s in ended(job, after.status, at)]
    for restart in range(1, len(whole)):
        successor = [_read_again(job) for job, _, _ in whole[restart:]]
        parts = [
            *(s for job, after, at in whole[:restart] for s in ended(job, after.status, at)),
            *(
                s
                for job, (_, after, at) in zip(successor, whole[restart:], strict=True)
                for s in ended(job, after.status, at)
            ),
        ]
        assert parts == straight
    assert ids(straight) == len(straight) == 4
    assert len({span.trace for span in straight}) == 1


def _statuses() -> Iterator[tuple[JobSeen, JobSeen, datetime]]:
    world = World(**NO_SERVING)
    for stage in ("", "fetch/model", "quantize", "export"):
        before = world.seen.job
        world.finish(stage) if stage else world.settle()
        yield before, world.seen.job, world.now
        yield world.seen.job, world.seen.job, world.now


def _read_again(job: JobSeen) -> JobSeen:
    """As the API server has it: another process knows no more."""
    return replace(job, status=Status.from_body(json.loads(json.dumps(job.status.to_body()))))


def ids(spans: list[Span]) -> int:
    return len({(span.trace, span.id) for span in spans})
