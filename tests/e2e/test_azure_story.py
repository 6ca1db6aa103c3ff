"""A model's way to Azure ML and back: gates, a published version, and a job that begins with it."""

from collections.abc import Iterator
from typing import Any

import pytest

from .azure import PLACE, Azure, azure
from .cluster import Cluster, adapter, eventually, job
from .test_main_story import answer


@pytest.fixture(scope="module")
def cloud(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with azure(cluster, tmp_path_factory.mktemp("azure")) as found:
        yield found


def publishing(store: str, cloud: Azure, perplexity: float) -> dict[str, Any]:
    """A job that publishes its adapter if it is good enough."""
    return job(
        store,
        adapter("travel"),
        evaluate={"samples": 8, "gates": [{"metric": "perplexity", "max": perplexity}]},
        publish={"azureML": {**PLACE, "model": "trips", "tags": {"team": "trips"}}},
        azure=cloud.identity,
    )


def test_what_misses_its_gate_is_not_published(cluster: Cluster, store: str, cloud: Azure) -> None:
    cluster.create("trips", publishing(store, cloud, perplexity=1.0001))
    said = cluster.await_stalled("trips", "GateFailed", seconds=400)
    assert "perplexity" in said
    assert cluster.stage("trips", "publish/azureML")["state"] == "Waiting"
    assert cloud.versions("trips") == {}


def test_what_passes_is_a_version_with_its_origin(
    cluster: Cluster, store: str, cloud: Azure
) -> None:
    cluster.edit("trips", publishing(store, cloud, perplexity=10_000))
    cluster.await_ready("trips")
    published = cluster.stage("trips", "publish/azureML")["published"]
    assert published["reference"].endswith("/workspaces/team/models/trips/versions/1")
    (version,) = cloud.versions("trips").values()
    told = version["properties"]
    assert told["olive-operator.job"] == f"{cluster.namespace}/trips"
    assert told["olive-operator.gates"] == "perplexity at most 10000"
    assert told["olive-operator.base"] == cluster.stage("trips", "export")["key"]
    assert version["tags"] == {"team": "trips"}


def test_the_same_again_is_the_same_version(cluster: Cluster, store: str, cloud: Azure) -> None:
    published = cluster.stage("trips", "publish/azureML")["published"]
    cluster.delete("trips")
    eventually("the end of the job", lambda: not cluster.attempts("trips"))
    for record in cluster.artifact_names(store, "publish"):
        cluster.run_kubectl("delete", "artifact", record)
    cluster.create("trips", publishing(store, cloud, perplexity=10_000))
    cluster.await_ready("trips")
    assert cluster.stage("trips", "publish/azureML")["published"] == published
    assert set(cloud.versions("trips")) == {"1"}


def test_another_job_begins_with_the_version_and_answers_alike(
    cluster: Cluster, store: str, cloud: Azure
) -> None:
    published = cluster.stage("trips", "publish/azureML")["published"]
    source = {"source": published["reference"]}
    cluster.create(
        "again", job(store, model=source, quantize=None, evaluate=None, azure=cloud.identity)
    )
    cluster.await_ready("again")
    assert set(cluster.attempts("again")) == {"fetch/model", "export"}
    assert answer(cluster, "again", "base") == answer(cluster, "trips", "base")


def test_no_secret_is_told_anywhere(cluster: Cluster, store: str, cloud: Azure) -> None:
    kinds = "optimizationjobs,artifacts,jobs,pods,configmaps,events"
    told = {"objects": cluster.run_kubectl("get", kinds, "--output=yaml")}
    for pod in cluster.pods("app.kubernetes.io/managed-by=olive-operator"):
        name = pod.metadata.name
        told[name] = cluster.run_kubectl("logs", name, "--all-containers")
    files = "*/artifact.json */README.md */bom.cdx.json"
    told["store"] = cluster.run_script("dump", store, f"cd /claim; cat {files}")
    secrets = cloud.secrets()
    assert len(secrets) > 2, "a key, the ServiceAccount's tokens, and Azure's"
    for secret in secrets:
        assert not [name for name, text in told.items() if secret in text]
