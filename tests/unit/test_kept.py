"""What is kept of objects: which news can wait for more of its kind."""

from dataclasses import replace

import pytest

from olive_operator.api.seen import AttemptSeen, PodSeen
from olive_operator.watch.kept import AttemptRecord, PodRecord

POD = PodRecord(("ml", "travel"), "stage", "u2", "a" * 64, ("olive-store",), PodSeen("p"))
ATTEMPT = AttemptRecord(("ml", "travel"), "u2", "u1", AttemptSeen("a", "export", "a" * 64, 1))


@pytest.mark.parametrize(
    ("seen", "urgent"),
    [
        pytest.param(PodSeen("p"), False, id="made"),
        pytest.param(PodSeen("p", "n1"), False, id="placed"),
        pytest.param(PodSeen("p", "n1", "Running", running=True), False, id="begun"),
        pytest.param(PodSeen("p", "n1", "Succeeded"), True, id="succeeded"),
        pytest.param(PodSeen("p", "n1", "Failed"), True, id="failed"),
        pytest.param(PodSeen("p", "n1", "Running", deleting=True), True, id="deleted"),
        pytest.param(PodSeen("p", "n1", "Running", disrupted="Evicted: x"), True, id="evicted"),
    ],
)
def test_news_of_a_pod_is_urgent_when_it_ends(seen: PodSeen, urgent: bool) -> None:
    assert replace(POD, seen=seen).urgent is urgent


def test_an_attempt_is_urgent_only_when_it_is_deleted_as_its_pod_tells_the_rest_first() -> None:
    assert not ATTEMPT.urgent
    assert not replace(ATTEMPT, seen=replace(ATTEMPT.seen, outcome="Complete")).urgent
    assert replace(ATTEMPT, seen=replace(ATTEMPT.seen, deleting=True)).urgent
