"""What somebody else has put into the cluster, or allowed there, keeps no job from its end."""

import json
from dataclasses import replace
from typing import Any

import pytest

from .kubectl import Kubectl
from .operators import Jobs, Operator
from .standin_node import StandInNode, eventually
from .test_operator import plain

DEEP = 9000
"""Levels; the API server takes ten thousand."""


@pytest.fixture
def ml(crds: Kubectl, namespace: str) -> Kubectl:
    return replace(crds, namespace=namespace)


@pytest.fixture
def deep_job(ml: Kubectl, tmp_path: Any) -> None:
    """A job whose workflow is nested deeper than any parser likes."""
    nested = '{"a":' * DEEP + "1" + "}" * DEEP
    workflow = f'{{"passes": {{"q": {{}}}}, "x": {nested}}}'
    spec = f'{{"model": {{"source": "hf://a/b"}}, "workflow": {workflow}}}'
    head = '"apiVersion": "olive-operator.io/v1alpha1", "kind": "OptimizationJob"'
    body = tmp_path / "deep.json"
    body.write_text(f'{{{head}, "metadata": {{"name": "deep"}}, "spec": {spec}}}')
    path = f"/apis/olive-operator.io/v1alpha1/namespaces/{ml.namespace}/optimizationjobs"
    ml("create", "--raw", path, f"--filename={body}")


@pytest.fixture
def under_our_label(ml: Kubectl) -> None:
    """Objects that say they are ours, with something else in them."""
    meta = {
        "name": "foreign",
        "labels": {
            "app.kubernetes.io/managed-by": "olive-operator",
            "olive-operator.io/job": "travel",
        },
    }
    for text in ("[" * 5000, '"\\ud800"', "{}", "null", "7"):
        name = {**meta, "name": f"foreign-{len(text)}"}
        data = {"serving.json": text}
        ml.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data})


@pytest.mark.usefixtures("deep_job", "under_our_label")
def test_odd_objects_keep_nobody_from_the_rest(
    jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    jobs.create("travel", plain())
    jobs.await_ready("travel")
    operator.kill()
    operator.start()
    jobs.create("food", plain())
    jobs.await_ready("food")
    assert "kopf:" not in operator.log, "kopf goes on as well"
    assert operator.runs


def test_quota_that_refuses_the_claim_is_told_by_an_event(
    ml: Kubectl, jobs: Jobs, node: StandInNode, operator: Operator
) -> None:
    ml("create", "quota", "no-claims", "--hard=persistentvolumeclaims=0")

    def in_force() -> Any:
        found = json.loads(ml("get", "quota", "no-claims", "--output=json"))
        return (found.get("status") or {}).get("hard")

    eventually("the quota in force", in_force)
    jobs.create("travel", plain(storage={}))
    eventually("it is told", lambda: jobs.warnings("travel"))
    assert "exceeded quota: no-claims" in jobs.warnings("travel")[0]
    ml("delete", "quota", "no-claims")
    jobs.await_ready("travel")
