"""Attempts: what a stage's pod is handed beside its input, by the source's scheme and its GPUs."""

from typing import Any

import pytest
from builders import World

AWS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
)
AZURE = (
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
)
FETCHED = ("fetch/model", "fetch/travel", "quantize", "check/travel")


def pod(world: World, stage: str) -> Any:
    """The pod of a stage's latest attempt."""
    return world.manifests[f"Job/{world.attempt(stage).name}"]["spec"]["template"]["spec"]


def optional(*names: str) -> dict[str, dict[str, Any]]:
    return {name: {"name": "keys", "key": name, "optional": True} for name in names}


@pytest.mark.parametrize(
    ("source", "env"),
    [
        ("hf://owner/model", {"HF_TOKEN": {"name": "keys", "key": "token"}}),
        ("s3://bucket/model", optional(*AWS)),
        ("az://container/model", optional(*AZURE)),
        ("pvc://models/model", {}),
    ],
    ids=["hub", "S3", "Azure", "claim"],
)
def test_credentials_go_to_the_fetch_by_the_sources_scheme(
    source: str, env: dict[str, dict[str, Any]]
) -> None:
    world = World(model={"source": source, "secretRef": "keys"}).settle()
    [container] = pod(world, "fetch/model")["containers"]
    found = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in container.get("env", [])}
    assert found == env


def test_no_other_stage_gets_the_credentials() -> None:
    world = World(model={"source": "s3://bucket/model", "secretRef": "keys"}).settle()
    world.finish(*FETCHED, "export", "reference/travel", "finetune/travel")
    world.finish("adapter/travel", "evaluate/travel")
    stages = [stage for stage in world.states if stage != "fetch/model"]
    assert [stage for stage in stages if "keys" in str(pod(world, stage))] == []


@pytest.mark.parametrize("count", [1, 2, 8])
def test_several_gpus_of_one_pod_share_memory(count: int) -> None:
    world = World(gpu={"count": count}).settle().finish(*FETCHED)
    found = pod(world, "finetune/travel")
    [container] = found["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": count}
    mounts = [m["name"] for m in container["volumeMounts"] if m["mountPath"] == "/dev/shm"]
    volumes = [v["name"] for v in found["volumes"] if v.get("emptyDir") == {"medium": "Memory"}]
    assert mounts == volumes
    assert len(mounts) == (count > 1)


def test_stage_without_a_gpu_shares_no_memory() -> None:
    world = World(gpu={"count": 2}).settle().finish(*FETCHED)
    assert "/dev/shm" not in str(pod(world, "export"))
    assert "nvidia.com/gpu" not in str(pod(world, "export"))
