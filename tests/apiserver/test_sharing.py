"""Two jobs that need the same artifacts at once: each is made once, whoever's job goes away."""

from collections import Counter
from typing import Any

from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually, pretty
from .test_operator import STAGES, plain

BOTH = ("food", "travel")


def quantize(jobs: Jobs, job: str) -> dict[str, Any]:
    stages = jobs.status(job).get("stages", [])
    return next((s for s in stages if s["name"] == "quantize"), {})


def begin(jobs: Jobs, node: StandInNode) -> tuple[str, str]:
    """Two jobs with the same spec: the one that quantizes, and the one that waits for it."""
    for job in BOTH:
        jobs.create(job, plain())

    def one_waits() -> bool:
        reasons = {quantize(jobs, job).get("reason") for job in BOTH}
        return reasons == {"Running", "BuiltByAnotherJob"}

    try:
        eventually("one at work, and one that waits for it", one_waits)
    except AssertionError as error:
        found = {job: quantize(jobs, job) for job in BOTH}
        raise AssertionError(f"{error}\n{pretty(found)}") from None
    first, second = sorted(BOTH, key=lambda job: quantize(jobs, job)["reason"], reverse=True)
    return first, second


def of_quantize(jobs: Jobs) -> list[str]:
    """The jobs that have an attempt at it."""
    return [name.split("-")[0] for name in jobs.attempts() if "-quantize-" in name]


def test_what_two_jobs_need_at_once_is_made_once(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    first, second = begin(jobs, node)
    assert of_quantize(jobs) == [first]
    waiting = quantize(jobs, second)
    assert waiting["state"] == "Pending"
    assert first in waiting["message"]
    assert waiting.get("attempt", 0) == 0
    release.set()
    for job in BOTH:
        jobs.await_ready(job)
    ran = Counter(node.ran)
    assert set(ran) == STAGES
    assert {stage for stage in ran if ran[stage] > 1 and not stage.startswith("fetch/")} == set()
    assert [quantize(jobs, job)["reason"] for job in (first, second)] == ["Built", "Cached"]


def test_when_the_job_that_makes_it_is_deleted_the_other_takes_over(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    release = node.hold("quantize")
    first, second = begin(jobs, node)
    jobs.delete(first)
    # The garbage collector ends it, or the operator where that is late with a kind new to it.
    eventually("it was told to stop", lambda: node.stopped == ["quantize"], seconds=90)
    eventually("the other's attempt", lambda: node.ran.count("quantize") == 2)
    assert of_quantize(jobs) == [second]
    release.set()
    status = jobs.await_ready(second)
    assert node.ran.count("quantize") == 2
    made = quantize(jobs, second)
    assert (made["reason"], made["attempt"], made.get("failures", 0)) == ("Built", 1, 0)
    assert {stage["state"] for stage in status["stages"]} == {"Succeeded"}
