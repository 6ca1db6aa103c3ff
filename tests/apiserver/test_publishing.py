"""What is published, seen from outside: in the status, in the store's record, and once."""

import signal
from typing import Any

from builders import spec

from .operators import Jobs, Operator
from .standin_node import StandInNode

STAGE = "publish/huggingFace"
HUB = {"huggingFace": {"repository": "acme/travel", "secretRef": "hub"}}


def publishing(**sections: Any) -> dict[str, Any]:
    """The usual job, which publishes to a hub and serves nothing."""
    return spec(serve=None, publish=HUB, **sections)


def published(status: dict[str, Any]) -> dict[str, Any]:
    """The last stage, which is the publication."""
    found: dict[str, Any] = status["stages"][-1]
    assert found["name"] == STAGE
    return found


def test_second_job_finds_where_the_first_has_published(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", publishing())
    first = published(jobs.await_ready("travel"))
    assert node.ran[-1] == STAGE
    version = first["published"]
    assert version == {
        "reference": f"hf://acme/travel@{first['key'][:12]}",
        "url": "https://hub.example/acme/travel",
    }
    [record] = [a for a in jobs.artifacts() if a["spec"]["kind"] == "publish"]
    assert record["spec"]["published"] == version
    operator.stop(signal.SIGKILL)  # the next one knows of it by the record alone
    operator.start()
    jobs.create("again", publishing())
    second = published(jobs.await_ready("again"))
    assert (second["published"], second["cached"]) == (version, True)
    assert node.ran.count(STAGE) == 1


def test_loosened_gate_publishes_and_runs_nothing_else(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    def gate(most: float) -> dict[str, Any]:
        return publishing(evaluate={"gates": [{"metric": "perplexity", "max": most}]})

    jobs.create("travel", gate(8.5))
    held = published(jobs.await_ready("travel", "Stalled"))
    assert (held["state"], held["reason"]) == ("Waiting", "HeldBack")
    before = list(node.ran)
    jobs.edit("travel", gate(9.5))
    assert published(jobs.await_ready("travel"))["published"]["reference"]
    assert node.ran == [*before, STAGE]
