"""Every kind of child against its golden file. ``UPDATE_GOLDEN=1`` writes them anew."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import World, adapter

from olive_operator.api.spec import Spec

GOLDEN = Path(__file__).parent / "children"
GPU = {
    "count": 1,
    "products": ["NVIDIA-A10"],
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
}


def children() -> Iterator[tuple[str, dict[str, Any]]]:
    """One child of each kind, by its file's name, from a job that uses everything."""
    calibration = {"source": "https://example.com/c.jsonl", "template": "{text}"}
    world = World(
        model={"source": "hf://owner/model@main", "secretRef": "hf-token"},
        quantize={"algorithm": "gptq", "calibration": calibration},
        adapters=[adapter("travel"), {"name": "french", "source": "hf://owner/french-lora"}],
        gpu=GPU,
        storage={"size": "10Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"},
    ).settle()
    world.finish("fetch/model", "fetch/calibration", "fetch/travel", "fetch/french")
    world.finish("quantize", "export", "finetune/travel", "adapter/travel", "adapter/french")
    world.finish("evaluate/travel")
    for name, manifest in world.manifests.items():
        kind = name.partition("/")[0].lower()
        stage = manifest["metadata"].get("annotations", {}).get("olive-operator.io/stage-name")
        if stage:
            yield f"{kind}-{stage.replace('/', '-')}", manifest
        elif kind != "artifact" or manifest["spec"]["stage"] == "quantize":
            yield kind, manifest


CHILDREN = dict(children())


@pytest.mark.parametrize("name", sorted(CHILDREN))
def test_child_is_as_its_golden_file_says(name: str) -> None:
    found = yaml.safe_dump(json.loads(json.dumps(CHILDREN[name])), sort_keys=False, width=100)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()


def test_there_is_no_golden_file_without_a_child() -> None:
    assert {p.stem for p in GOLDEN.glob("*.yaml")} == set(CHILDREN)


@pytest.mark.parametrize("name", [n for n in sorted(CHILDREN) if "spec" in CHILDREN[n]])
def test_pods_are_restricted_and_speak_to_no_api_server(name: str) -> None:
    template = CHILDREN[name]["spec"].get("template")
    if template is None:
        return
    pod = template["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def _defaults(schema: dict[str, Any]) -> Any:
    """What the API server fills into an empty object of this schema."""
    found = {}
    for name, part in schema.get("properties", {}).items():
        if "default" in part:
            found[name] = _defaults(part) if part["default"] == {} else part["default"]
    return found


def test_defaults_in_code_are_those_of_the_crd() -> None:
    crd = yaml.safe_load(Path("crds/optimizationjobs.olive-operator.io.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    parts = schema["properties"]
    item = parts["adapters"]["items"]["properties"]
    calibration = {"source": "pvc://a/b", "template": "{x}"}
    bare: dict[str, Any] = {
        "model": {"source": "pvc://a/b"},
        "quantize": {"calibration": calibration},
        "adapters": [{"name": "a", "data": calibration, "lora": {}}],
        "evaluate": {},
        "serve": {},
    }
    filled = {
        **bare,
        **_defaults(schema),
        "quantize": {
            **_defaults(parts["quantize"]),
            "calibration": {
                **calibration,
                **_defaults(parts["quantize"]["properties"]["calibration"]),
            },
        },
        "adapters": [
            {
                "name": "a",
                "data": {**calibration, **_defaults(item["data"])},
                "lora": _defaults(item["lora"]),
            }
        ],
        "evaluate": _defaults(parts["evaluate"]),
        "serve": _defaults(parts["serve"]),
    }
    assert filled != bare
    assert Spec.from_body(bare) == Spec.from_body(filled)
