"""The operator is replaced by a newer one and back again, while a job runs and another one serves.

Each step is taken in the middle of a training, and while somebody asks the demo's serving, each
time on a connection of its own. The stories build on each other in the order in which they stand
here; at their end the release is as they have found it.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from programs import ROOT

from .cluster import Cluster, adapter, eventually, job
from .previous import Previous, previous
from .release import NAMESPACE, Release
from .test_main_story import ASK_FOR_EVER

CHART, CRDS = ROOT / "charts" / "olive-operator", ROOT / "crds"
SERVED, STORE = "travel-tiny", "olive-store"
"""The demo's job and its store: the base is there."""
OPERATORS = "app.kubernetes.io/component=operator"


@dataclass(frozen=True)
class Place:
    """The release, what it was before, and what it is to be upgraded to."""

    release: Release
    before: Previous
    image: str
    """The operator's, of now."""


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The release before, newly installed in the place of this one."""
    folder = tmp_path_factory.mktemp("previous")
    before, release = previous(folder / "tree"), Release.at(cluster.kubeconfig)
    now, then = folder / "now.json", folder / "then.json"
    values = release.values()
    now.write_text(json.dumps(values))
    images = {**values["images"], "operator": before.image}
    then.write_text(json.dumps({**values, "images": images}))
    jobs = _jobs(cluster)
    try:
        release.uninstall()
        assert _jobs(cluster) == jobs, "without a release there is every job"
        release.install(before.chart, then)
        yield Place(release, before, values["images"]["operator"])
    finally:
        release.put(CHART, now)


@pytest.fixture(scope="module")
def upgraded() -> str:
    return f"upgraded-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    """An adapter whose training is in no store yet."""
    return adapter("travel", seed=secrets.randbelow(2**31))


def test_upgrade_goes_on_with_what_runs_and_what_is_served(
    cluster: Cluster, place: Place, upgraded: str, training: dict[str, Any]
) -> None:
    _await_operators(cluster, place.before.image)
    assert _schemas(cluster) == _schemas_of(place.before.crds)
    with cluster.asking(SERVED, ASK_FOR_EVER) as said:
        _train(cluster, upgraded, training)
        place.release.upgrade(CHART, "--set", f"images.operator={place.image}")
        _await_operators(cluster, place.image)
        assert _schemas(cluster) == _schemas_of(CRDS)
        _ended_well(cluster, upgraded)
        _answered(said())


def test_helm_test_tells_that_the_new_release_works(place: Place) -> None:
    assert "the operator works" in place.release.test()


def test_rollback_goes_on_with_what_runs_and_what_is_served(cluster: Cluster, place: Place) -> None:
    name = f"rolled-back-{secrets.token_hex(4)}"
    with cluster.asking(SERVED, ASK_FOR_EVER) as said:
        _train(cluster, name, adapter("travel", seed=secrets.randbelow(2**31)))
        place.release.rollback(1)
        _await_operators(cluster, place.before.image)
        assert _schemas(cluster) == _schemas_of(place.before.crds)
        _ended_well(cluster, name)
        _answered(said())


def test_another_upgrade_makes_nothing_again(
    cluster: Cluster, place: Place, upgraded: str, training: dict[str, Any]
) -> None:
    attempts = cluster.attempts(upgraded)
    place.release.upgrade(CHART, "--set", f"images.operator={place.image}")
    _await_operators(cluster, place.image)
    # Ready is told of the spec as it is then, by an operator that has looked at every stage.
    cluster.edit(upgraded, job(STORE, training, serve=None, retry={"limit": 5}))
    cluster.await_ready(upgraded)
    assert cluster.attempts(upgraded) == attempts


def _train(cluster: Cluster, name: str, training: dict[str, Any]) -> None:
    """A job whose training has come some way."""
    cluster.create(name, job(STORE, training, serve=None))

    def on_its_way() -> bool:
        stage = cluster.stage(name, "finetune/travel")
        return stage.get("state") == "Running" and stage.get("percent", 0) >= 10

    eventually("the training on its way", on_its_way, 200)


def _ended_well(cluster: Cluster, name: str) -> None:
    """Ready, with every stage tried once."""
    status = cluster.await_ready(name)
    attempts = cluster.attempts(name)
    assert len(attempts) == len(set(attempts)), attempts
    assert {s.get("attempt", 1) for s in status["stages"]} == {1}


def _answered(said: str) -> None:
    assert "answer 20" in said
    assert "FAILED" not in said, said


def _jobs(cluster: Cluster) -> list[str]:
    """Every job of the cluster, by its uid."""
    found = cluster.run_kubectl("get", "optimizationjobs", "--all-namespaces", "--output=json")
    return sorted(item["metadata"]["uid"] for item in json.loads(found)["items"])


def _await_operators(cluster: Cluster, image: str) -> None:
    """Until the operator's pods are of this image, and the others are going."""

    def alone() -> bool:
        pods = cluster.pods(OPERATORS, NAMESPACE)
        running = [p for p in pods if not p.metadata.deletion_timestamp]
        return {p.spec.containers[0].image for p in running} == {image}

    eventually(f"operators of {image} alone", alone)


def _schemas(cluster: Cluster) -> dict[str, Any]:
    """What the API server holds jobs and artifacts against."""
    names = sorted(_schemas_of(CRDS))
    found = cluster.run_kubectl("get", "crd", *names, "--output=json")
    return _by_name(json.loads(found)["items"])


def _schemas_of(folder: Path) -> dict[str, Any]:
    return _by_name([yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")])


def _by_name(crds: list[Any]) -> dict[str, Any]:
    return {
        crd["metadata"]["name"]: {v["name"]: _kept(v["schema"]) for v in crd["spec"]["versions"]}
        for crd in crds
    }


def _kept(part: Any) -> Any:
    """As the API server keeps it: without the key of no value that a release had by mistake."""
    if isinstance(part, list):
        return [_kept(each) for each in part]
    if isinstance(part, dict):
        return {name: _kept(value) for name, value in part.items() if value is not None}
    return part
