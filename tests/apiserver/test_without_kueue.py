"""A job that names a queue, in a cluster where Kueue is not installed."""

from builders import spec

from .operators import Jobs, Operator
from .standin_node import StandInNode


def test_it_says_so_and_makes_no_attempt_until_the_queue_is_left_out(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", spec(serve=None, queue="team-a"))
    status = jobs.await_ready("travel", "Stalled")
    told = next(c for c in status["conditions"] if c["type"] == "Stalled")
    assert (told["reason"], told["message"]) == (
        "QueueUnavailable",
        "fetch/model: spec.queue names team-a, but Kueue is not installed in this cluster; "
        "install it, or leave queue out",
    )
    assert jobs.attempts() == []
    jobs.edit("travel", spec(serve=None))
    jobs.await_ready("travel")
