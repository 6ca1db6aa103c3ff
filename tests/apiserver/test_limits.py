"""An attempt that runs too long, says nothing, or cannot pull its image: it is told, and mended."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually, pretty
from .test_operator import STAGES, plain


@dataclass(frozen=True)
class Case:
    """What the spec limits, what then becomes of quantize, and how many pods ran it in the end."""

    limits: dict[str, Any]
    state: str
    reason: str
    says: str
    pods: int
    pulled: bool = True


CASES = {
    "runs longer than it may": Case(
        {"timeouts": {"quantize": "1s"}, "retry": {"limit": 1, "backoff": "1s"}},
        *("Failed", "Timeout", "it ran for 1s, the limit of quantize stages"),
        pods=3,  # the first, its retry, and the one that was asked for
    ),
    "says nothing for too long": Case(
        {"progressDeadline": "1s"},
        *("Running", "NoProgress", "no progress since"),
        pods=1,
    ),
    "cannot pull its image": Case(
        {"retry": {"limit": 0}},
        *("Failed", "ImagePull", "the image cannot be pulled: Back-off pulling image"),
        pods=1,
        pulled=False,
    ),
}


@pytest.fixture
def operator(apiserver: Path, tmp_path: Path, namespace: str) -> Iterator[Operator]:
    with Operator(
        apiserver, tmp_path, namespace, namespaces=[namespace], imagePullDeadline="1s"
    ) as found:
        yield found


def quantize(jobs: Jobs) -> dict[str, Any]:
    stages = jobs.status("travel").get("stages", [])
    return next((s for s in stages if s["name"] == "quantize"), {})


def its_pods(jobs: Jobs) -> list[str]:
    return [name for name in jobs.pods() if "-quantize-" in name]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_attempt_that(case: Case, jobs: Jobs, node: StandInNode, operator: Operator) -> None:
    release = node.hold("quantize")
    if not case.pulled:
        node.unpullable.add("quantize")
    jobs.create("travel", plain(**case.limits))

    def told() -> bool:
        found = quantize(jobs)
        return (found.get("state"), found.get("reason")) == (case.state, case.reason)

    try:
        eventually(f"{case.reason} of quantize", told)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pretty(jobs.status('travel'))}") from None
    assert case.says in quantize(jobs)["message"]
    conditions = jobs.await_ready("travel", "Stalled")["conditions"]
    assert {c["reason"] for c in conditions} == {case.reason}
    if case.state == "Failed":
        eventually("its pod gone", lambda: its_pods(jobs) == [])
    else:
        assert len(its_pods(jobs)) == 1
    release.set()
    node.unpullable.clear()
    jobs.edit("travel", plain())
    jobs.retry("travel")
    jobs.await_ready("travel")
    assert node.ran.count("quantize") == case.pods
    assert sorted({*node.ran}) == sorted(STAGES)
