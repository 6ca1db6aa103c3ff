"""The CRD of Artifact: a record that never changes."""

from typing import Any

import pytest

from olive_operator.labels import UNUSED_SINCE

from .kubectl import Kubectl, Manifest

KEY = "0123456789abcdef" * 4


def artifact(**fields: Any) -> Manifest:
    """The record of an export, with fields added or replaced."""
    spec = {"claim": "olive-store", "key": KEY, "kind": "export", "stage": "export", **fields}
    return {
        "apiVersion": "olive-operator.io/v1alpha1",
        "kind": "Artifact",
        "metadata": {"name": KEY[:20]},
        "spec": spec,
    }


def test_every_field_is_kept(crds: Kubectl) -> None:
    whole = artifact(
        job="travel", sizeBytes=2_263_000_000, seconds=93.5, gpuSeconds=93, metrics={"loss": 0.5}
    )
    assert crds.dry_run(whole)["spec"] == whole["spec"]


def test_record_of_a_publication_is_kept(crds: Kubectl) -> None:
    version = {"reference": "hf://acme/travel@4f1c", "url": "https://huggingface.co/acme/travel"}
    whole = artifact(kind="publish", stage="publish/huggingFace", published=version)
    assert crds.dry_run(whole)["spec"] == whole["spec"]


@pytest.mark.parametrize(
    ("fields", "message"),
    {
        "a key that is no hash": ({"key": "latest"}, "spec.key in body should match"),
        "a negative size": ({"sizeBytes": -1}, "greater than or equal to 0"),
        "a version without its name": (
            {"published": {"url": "https://example.com"}},
            "spec.published.reference: Required value",
        ),
        "no claim": ({"claim": None}, "spec.claim: Required value"),
    }.values(),
)
def test_mistakes_are_refused(crds: Kubectl, fields: dict[str, Any], message: str) -> None:
    assert message in crds.refusal(artifact(**fields))


def test_it_never_changes(kubectl: Kubectl) -> None:
    kubectl.apply(artifact())
    assert "an artifact never changes; delete the record instead" in kubectl.refusal(
        artifact(sizeBytes=1)
    )
    kubectl.apply({**artifact(), "metadata": {"name": KEY[:20], "labels": {"kept": "yes"}}})


@pytest.mark.parametrize("name", ["artifacts.olive-operator.io", "oliveartifact", "olive"])
def test_kubectl_shows_it(kubectl: Kubectl, name: str) -> None:
    kubectl.apply(artifact(sizeBytes=12, gpuSeconds=3))
    header, row = kubectl("get", name).splitlines()
    assert header.split() == ["NAME", "STAGE", "CLAIM", "SIZE", "GPU-SECONDS", "UNUSED", "AGE"]
    assert row.split()[1:-1] == ["export", "olive-store", "12", "3"]


def test_kubectl_shows_for_how_long_nothing_has_referred_to_it(kubectl: Kubectl) -> None:
    marked = artifact(sizeBytes=12, gpuSeconds=3)
    marked["metadata"]["annotations"] = {UNUSED_SINCE: "2026-01-01T00:00:00Z"}
    kubectl.apply(marked)
    _, row = kubectl("get", "artifacts.olive-operator.io").splitlines()
    assert row.split()[-2].endswith("d")
