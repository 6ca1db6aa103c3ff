"""Every kind of child against its golden file. ``UPDATE_GOLDEN=1`` writes them anew."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import World, adapter
from builders.world import CONFIG

from olive_contract.stage import Published
from olive_contract.sweep import Sweep
from olive_operator import build
from olive_operator.api.spec import Spec
from olive_operator.build import StoreMount

GOLDEN = Path(__file__).parent / "children"
FRENCH = "azureml://registries/models/models/french-lora/versions/2"
GPU = {
    "count": 1,
    "products": ["NVIDIA-A10"],
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
}
SERVE = {
    "autoscaling": {"minReplicas": 2, "maxReplicas": 8},
    "localCopy": {"sizeLimit": "20Gi"},
    "apiKeys": {"secretRef": "travel-keys"},
    "page": False,
    "route": {
        "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
        "hostnames": ["travel.example.com"],
    },
}

PUBLISH = {
    "azureML": {"registry": "models", "model": "travel", "tags": {"team": "ml"}},
    "huggingFace": {"repository": "acme/travel", "secretRef": "hub-writer"},
    "oci": {"reference": "registry.example.com/models/travel:v1", "secretRef": "registry"},
}
AZURE = {
    "clientID": "00000000-1111-2222-3333-444444444444",
    "tenantID": "55555555-6666-7777-8888-999999999999",
    "serviceAccountName": "olive",
}


def children() -> Iterator[tuple[str, dict[str, Any]]]:
    """One child of each kind, by its file's name, from a job that uses everything."""
    calibration = {"source": "https://example.com/c.jsonl", "template": "{text}"}
    world = World(
        model={"source": "hf://owner/model@main", "secretRef": "hf-token"},
        quantize={"algorithm": "gptq", "calibration": calibration},
        adapters=[adapter("travel"), {"name": "french", "source": FRENCH}],
        evaluate={"gates": [{"metric": "perplexity", "max": 9.5}]},
        publish=PUBLISH,
        azure=AZURE,
        gpu=GPU,
        storage={"size": "10Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"},
        serve=SERVE,
    ).settle()
    world.finish("fetch/model", "fetch/calibration", "fetch/travel", "fetch/french")
    world.finish("check/quantize", "check/travel", "reference/travel")
    world.finish("quantize", "export", "finetune/travel", "adapter/travel", "adapter/french")
    world.finish("evaluate/travel", metrics={"perplexity": 9.1})
    world.finish("publish/huggingFace", published=Published("hf://acme/travel@4f1c"))
    for name, manifest in world.manifests.items():
        kind = name.partition("/")[0].lower()
        stage = manifest["metadata"].get("annotations", {}).get("olive-operator.io/stage-name")
        if stage:
            yield f"{kind}-{stage.replace('/', '-')}", manifest
        elif kind != "artifact" or manifest["spec"]["stage"] == "quantize":
            yield kind, manifest
        elif manifest["spec"]["stage"] == "publish/huggingFace":
            yield "artifact-published", manifest
    what = Sweep(("1" * 64, "2" * 64), "2026-11-14T12:00:00+00:00", ("3" * 64,))
    yield "job-sweep", build.sweep("ml", what, StoreMount("olive-store", oneNode=True), CONFIG)


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


def _filled(schema: dict[str, Any], body: Any) -> Any:
    """The body with what the API server fills into it."""
    if isinstance(body, list):
        return [_filled(schema["items"], item) for item in body]
    if not isinstance(body, dict):
        return body
    parts = schema.get("properties", {})
    defaults = {name: part["default"] for name, part in parts.items() if "default" in part}
    return {name: _filled(parts.get(name, {}), v) for name, v in {**defaults, **body}.items()}


def test_defaults_in_code_are_those_of_the_crd() -> None:
    crd = yaml.safe_load(Path("crds/optimizationjobs.olive-operator.io.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    data = {"source": "pvc://a/b", "template": "{x}"}
    bare: dict[str, Any] = {
        "model": {"source": "pvc://a/b"},
        "quantize": {"calibration": data},
        "adapters": [{"name": "a", "data": data, "lora": {}}],
        "evaluate": {"data": data, "gates": [{"metric": "f1", "min": 1}]},
        "publish": {
            "azureML": {"model": "m"},
            "huggingFace": {"repository": "a/b"},
            "oci": {"reference": "a.example/b:c"},
        },
        "azure": {},
        "serve": {"autoscaling": {"maxReplicas": 2}},
    }
    filled = _filled(schema, bare)
    assert filled["adapters"][0]["lora"]["rank"] == 16
    assert filled["evaluate"]["data"]["maxLength"] == 512
    assert filled["publish"]["huggingFace"]["branch"] == "main"
    assert filled["serve"]["autoscaling"]["waitingRequests"] == 4
    assert Spec.from_body(bare) == Spec.from_body(filled)
