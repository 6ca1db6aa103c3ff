"""What nothing refers to goes from the store, and comes back when it is asked for again."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import adapter, spec
from kubernetes import config

from .kubectl import Kubectl
from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually

AT_ONCE = {"retention": "0s", "leftovers": ""}
OF_THE_ADAPTER = ["adapter", "check", "evaluate", "finetune"]
"""Kinds of stages whose artifacts are others when the LoRA is."""


def with_rank(rank: int) -> dict[str, Any]:
    return spec(adapters=[adapter("travel", rank=rank)], serve=None)


@pytest.fixture
def api(apiserver: Path) -> Any:
    return config.new_client_from_config(str(apiserver))


@pytest.fixture
def jobs(api: Any, kubectl: Kubectl) -> Jobs:
    assert kubectl.namespace is not None
    return Jobs(api, kubectl.namespace)


@pytest.fixture
def node(api: Any, jobs: Jobs) -> Iterator[StandInNode]:
    with StandInNode(api, jobs.namespace) as node:
        yield node


@pytest.fixture
def operator(apiserver: Path, tmp_path: Path, jobs: Jobs) -> Iterator[Operator]:
    with Operator(
        apiserver, tmp_path, jobs.namespace, store=AT_ONCE, namespaces=[jobs.namespace]
    ) as operator:
        yield operator


def kinds(jobs: Jobs) -> dict[str, str]:
    """The kinds of the artifacts of which there is a record, by key."""
    return {a["spec"]["key"]: a["spec"]["kind"] for a in jobs.artifacts()}


def test_what_an_edit_leaves_behind_is_swept_and_made_again_when_the_edit_is_undone(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", with_rank(8))
    jobs.await_ready("travel")
    first = kinds(jobs)
    jobs.edit("travel", with_rank(4))
    jobs.await_ready("travel")
    eventually("the old artifacts swept", lambda: len(node.swept) == len(OF_THE_ADAPTER))
    assert sorted(first[key] for key in node.swept) == OF_THE_ADAPTER
    assert set(kinds(jobs)) & set(first) == set(first) - set(node.swept)
    ran, swept = list(node.ran), set(node.swept)
    jobs.edit("travel", with_rank(8))
    jobs.await_ready("travel")
    assert sorted(name.partition("/")[0] for name in node.ran[len(ran) :]) == OF_THE_ADAPTER
    assert swept <= set(kinds(jobs))


def test_what_is_being_swept_is_waited_for_even_by_an_operator_that_was_killed_meanwhile(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", with_rank(8))
    jobs.await_ready("travel")
    first, release = kinds(jobs), node.hold("sweep")
    jobs.delete("travel")
    eventually("every record gone", lambda: not kinds(jobs))
    operator.stop(signal.SIGKILL)
    operator.start()
    jobs.create("travel", with_rank(8))
    waits = "the unused artifact is being removed from the store; then it is made again"
    eventually("a stage waits", lambda: waits in _messages(jobs))
    assert not kinds(jobs)
    release.set()
    jobs.await_ready("travel")
    assert set(kinds(jobs)) == set(node.swept) == set(first)
    assert node.ran.count("finetune/travel") == 2


def test_records_are_marked_while_nothing_refers_to_them(
    apiserver: Path, tmp_path: Path, jobs: Jobs, node: StandInNode
) -> None:
    def marked() -> int:
        notes = [a["metadata"].get("annotations", {}) for a in jobs.artifacts()]
        return sum("olive-operator.io/unused-since" in note for note in notes)

    with Operator(apiserver, tmp_path, jobs.namespace, namespaces=[jobs.namespace]) as operator:
        jobs.create("travel", with_rank(8))
        jobs.await_ready("travel")
        count = len(jobs.artifacts())
        assert marked() == 0
        jobs.delete("travel")
        eventually("all marked", lambda: marked() == count)
        unused = 7 * count  # as the stand-in reports
        eventually("bytes", lambda: operator.measured("olive_store_bytes") == unused)
        jobs.create("again", with_rank(8))
        jobs.await_ready("again")
        eventually("none marked", lambda: marked() == 0)
        assert sorted(node.ran[count:]) == ["fetch/model", "fetch/travel"]
    assert not node.swept


def _messages(jobs: Jobs) -> list[str]:
    return [stage.get("message", "") for stage in jobs.status("travel").get("stages", [])]
