"""retry, suspend and resume: what is patched, and what a person is told."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from olive_cli.cluster.connection import Cluster
from olive_cli.commands import change
from olive_cli.errors import CliError

from .files import hold
from .jobs import body, stage
from .standin import Asked, served
from .test_cluster import PATH, kubeconfig

NOW = datetime(2026, 11, 21, 4, 0, 30, 7, tzinfo=UTC)
FAILED = stage(
    "finetune/travel",
    "Failed",
    reason="StageError",
    failures=4,
    lastFailure="StageError: exit code 1 (Error): loss is NaN",
)
BACKING_OFF = stage(
    "fetch/french",
    "Pending",
    reason="DiskFull",
    failures=1,
    lastFailure="DiskFull: 3 GiB are left, 7 GiB are needed",
    retryAt="2026-11-21T04:08:00Z",
)
OVERCOME = stage(
    "quantize", "Succeeded", reason="Built", failures=2, lastFailure="GPUFault: Xid 79"
)
MISSED = stage(
    "evaluate/food", "Succeeded", reason="GateFailed", message="perplexity is 11.2, at most 9.5"
)
RUNNING = stage("finetune/food", "Running")
SERVING = {"replicas": 1, "adapters": []}


def suspended(*stages: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {**body(*stages, **status), "spec": {"suspend": True}}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("retry", body(OVERCOME, FAILED, BACKING_OFF, RUNNING)),
        ("retry-suspended", suspended(FAILED)),
        ("retry-with-a-gate", body(FAILED, MISSED)),
    ],
)
def test_what_has_failed_is_tried_again(name: str, found: dict[str, Any]) -> None:
    wanted = change.retry(found, NOW)
    fresh = {"olive-operator.io/retry": "2026-11-21T04:00:30.000007+00:00"}
    assert wanted.patch == {"metadata": {"annotations": fresh}}
    hold(f"{name}.txt", wanted.said)


@pytest.mark.parametrize(
    ("name", "found"),
    [("retry-nothing", body(OVERCOME, RUNNING)), ("retry-only-a-gate", body(MISSED))],
)
def test_where_nothing_has_failed_nothing_is_changed(name: str, found: dict[str, Any]) -> None:
    wanted = change.retry(found, NOW)
    assert not wanted.patch
    hold(f"{name}.txt", wanted.said)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("suspend", body(OVERCOME, RUNNING, BACKING_OFF, serving=SERVING)),
        ("suspend-at-rest", body(OVERCOME)),
    ],
)
def test_suspend(name: str, found: dict[str, Any]) -> None:
    wanted = change.suspend(found)
    assert wanted.patch == {"spec": {"suspend": True}}
    hold(f"{name}.txt", wanted.said)


def test_resume() -> None:
    wanted = change.resume(suspended(RUNNING))
    assert wanted.patch == {"spec": {"suspend": False}}
    assert wanted.said == "travel goes on: kubectl olive watch travel -n ml"


def test_what_is_so_already_is_not_changed() -> None:
    assert change.suspend(suspended()) == change.Change({}, "travel is suspended already")
    resumed = change.resume(body())
    assert resumed == change.Change({}, "travel is not suspended; nothing is changed")


def carried_out(folder: Path, command: str, found: dict[str, Any]) -> tuple[str, list[Asked]]:
    with served(lambda _: (200, "application/json", json.dumps(found))) as api:
        cluster = Cluster.connect(kubeconfig(folder, api.url), None, None)
        return change.change(cluster, "travel", command), api.asked


@pytest.mark.parametrize(
    ("command", "found", "patched"),
    [
        ("suspend", body(RUNNING), {"spec": {"suspend": True}}),
        ("resume", suspended(), {"spec": {"suspend": False}}),
    ],
)
def test_the_job_is_read_and_patched(
    tmp_path: Path, command: str, found: dict[str, Any], patched: dict[str, Any]
) -> None:
    _, asked = carried_out(tmp_path, command, found)
    assert [(a.path, a.body) for a in asked] == [
        (f"{PATH}/travel", None),
        (f"{PATH}/travel", patched),
    ]


def test_two_retries_have_two_values(tmp_path: Path) -> None:
    patches = [carried_out(tmp_path, "retry", body(FAILED))[1][1].body for _ in range(2)]
    assert patches[0] != patches[1]


def test_nothing_to_change_sends_nothing(tmp_path: Path) -> None:
    said, asked = carried_out(tmp_path, "retry", body(RUNNING))
    assert said == "travel: no stage has failed; nothing is changed"
    assert len(asked) == 1


def test_no_such_job(tmp_path: Path) -> None:
    with served(lambda _: (404, "application/json", "{}")) as api:
        cluster = Cluster.connect(kubeconfig(tmp_path, api.url), None, None)
        with pytest.raises(CliError, match="optimizationjob ml/travel: no such job"):
            change.change(cluster, "travel", "suspend")


def test_nobody_there(tmp_path: Path) -> None:
    cluster = Cluster.connect(kubeconfig(tmp_path, "http://127.0.0.1:1"), None, None)
    with pytest.raises(CliError, match="the API server does not answer"):
        change.change(cluster, "travel", "retry")
