"""The CRD of OptimizationJob: what is accepted, what is filled in, and how kubectl shows it."""

from datetime import timedelta
from typing import Any

import pytest
import yaml
from programs import ROOT

from olive_operator.api.duration import parsed
from olive_operator.api.spec import Spec

from .jobs import CUDA, DATA, FULL, WORKFLOW, adapter, job, with_data
from .kubectl import Kubectl
from .operators import UNSEEN

CRD = ROOT / "crds" / "optimizationjobs.olive-operator.io.yaml"
NAME = "optimizationjobs.olive-operator.io"

EXPORT = {
    "device": "cpu",
    "provider": "CPUExecutionProvider",
    "head": "int8",
    "activations": "int8",
}
MODEL = {
    "source": "hf://microsoft/Phi-3.5-mini-instruct",
    "allowPickle": False,
    "trustRemoteCode": False,
}
GPU = {"count": 1, "resource": "nvidia.com/gpu"}
ALWAYS = {
    "model": MODEL,
    "export": EXPORT,
    "gpu": GPU,
    "storage": {},
    "retry": {},
    "timeouts": {},
    "suspend": False,
}
LORA = {
    "rank": 16,
    "alpha": 32,
    "maxSteps": 100,
    "batchSize": 8,
    "learningRate": 0.0001,
    "maxLength": 512,
    "seed": 0,
    "dropout": 0.05,
    "rankStabilized": False,
    "packing": False,
    "warmupRatio": 0.03,
    "schedule": "linear",
    "weightDecay": 0,
}
TRAINED = adapter(data={**DATA, "evalSplit": 0.1}, allowPickle=False)

WORKSPACE = (
    "azureml://subscriptions/00000000-1111-2222-3333-444444444444/resourcegroups/ml/workspaces/slm"
)

# What is written, and what the API server makes of it besides.
DEFAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing but a model": ({}, {}),
    "an empty quantize": (
        {"quantize": {}},
        {"quantize": {"algorithm": "rtn", "precision": "int4", "groupSize": 128}},
    ),
    "a section without a value counts as left out": ({"quantize": None, "serve": None}, {}),
    "calibration": (
        {"quantize": {"algorithm": "gptq", "calibration": DATA}},
        {
            "quantize": {
                "algorithm": "gptq",
                "precision": "int4",
                "groupSize": 128,
                "calibration": {**DATA, "samples": 128, "maxLength": 512},
            }
        },
    ),
    "an adapter to be trained": (
        {"adapters": [adapter()]},
        {"adapters": [TRAINED]},
    ),
    "an adapter with an empty lora": (
        {"adapters": [adapter(lora={})]},
        {"adapters": [{**TRAINED, "lora": LORA}]},
    ),
    "an empty evaluate": (
        {"adapters": [adapter()], "evaluate": {}},
        {"adapters": [TRAINED], "evaluate": {"samples": 64, "reference": True}},
    ),
    "an evaluation of the base": (
        {"evaluate": {"data": DATA}},
        {"evaluate": {"samples": 64, "reference": True, "data": {**DATA, "maxLength": 512}}},
    ),
    "a workflow as Olive reads it": ({"workflow": WORKFLOW}, {"workflow": WORKFLOW}),
    "an export for a GPU that is measured": (
        {"export": CUDA, "evaluate": {"data": DATA}},
        {
            "export": {**CUDA, "head": "int8", "activations": "int8"},
            "evaluate": {"samples": 64, "reference": True, "data": {**DATA, "maxLength": 512}},
        },
    ),
    "an empty serve": ({"serve": {}}, {"serve": {"page": True}}),
    "a serving without a pod": (
        {"serve": {"replicas": 0}},
        {"serve": {"replicas": 0, "page": True}},
    ),
    "as many pods as it takes": (
        {"serve": {"autoscaling": {"maxReplicas": 3}}},
        {
            "serve": {
                "autoscaling": {"minReplicas": 1, "maxReplicas": 3, "waitingRequests": 4},
                "page": True,
            }
        },
    ),
    "a serving with local copies in the room that its pods may take": (
        {
            "serve": {
                "localCopy": {"sizeLimit": "20Gi"},
                "resources": {"limits": {"ephemeral-storage": "20Gi"}},
            }
        },
        {
            "serve": {
                "localCopy": {"sizeLimit": "20Gi"},
                "resources": {"limits": {"ephemeral-storage": "20Gi"}},
                "page": True,
            }
        },
    ),
    "publishing to a registry of Azure ML": (
        {"publish": {"azureML": {"registry": "models", "model": "travel"}}, "azure": {}},
        {
            "publish": {
                "azureML": {
                    "registry": "models",
                    "model": "travel",
                    "type": "custom",
                    "description": "",
                }
            },
            "azure": {},
        },
    ),
    "publishing to a hub, and a registry that anybody may write to": (
        {
            "publish": {
                "huggingFace": {"repository": "acme/travel", "secretRef": "hub"},
                "oci": {"reference": "localhost:5000/travel:v1"},
            }
        },
        {
            "publish": {
                "huggingFace": {
                    "repository": "acme/travel",
                    "secretRef": "hub",
                    "private": True,
                    "branch": "main",
                },
                "oci": {"reference": "localhost:5000/travel:v1"},
            }
        },
    ),
    "a service principal": (
        {"azure": {"secretRef": "principal"}},
        {"azure": {"secretRef": "principal"}},
    ),
    "a serving at a gateway": (
        {"serve": {"route": {"parentRefs": [{"name": "public"}]}}},
        {"serve": {"route": {"parentRefs": [{"name": "public"}]}, "page": True}},
    ),
    "a GPU product": (
        {"gpu": {"products": ["NVIDIA-A10"]}},
        {"gpu": {**GPU, "products": ["NVIDIA-A10"]}},
    ),
    "a claim": ({"storage": {"claim": "mine"}}, {"storage": {"claim": "mine"}}),
    "retries of some other number": ({"retry": {"limit": 0}}, {"retry": {"limit": 0}}),
    "one time limit": ({"timeouts": {"fetch": "1d"}}, {"timeouts": {"fetch": "1d"}}),
    "a job that goes by itself": ({"ttlAfterFinished": "0s"}, {"ttlAfterFinished": "0s"}),
}


@pytest.mark.parametrize("case", DEFAULTS)
def test_defaults(crds: Kubectl, case: str) -> None:
    written, filled_in = DEFAULTS[case]
    stored = crds.dry_run(job(**written))["spec"]
    assert stored == {**ALWAYS, **filled_in}


@pytest.mark.parametrize("case", DEFAULTS)
def test_the_operators_defaults_are_the_same(crds: Kubectl, case: str) -> None:
    written = job(**DEFAULTS[case][0])
    assert Spec.from_body(crds.dry_run(written)["spec"]) == Spec.from_body(written["spec"])


def test_every_field_is_kept(crds: Kubectl) -> None:
    assert crds.dry_run(FULL)["spec"] == FULL["spec"]
    assert Spec.from_body(FULL["spec"])


@pytest.mark.parametrize(
    "source",
    [
        "hf://microsoft/Phi-3.5-mini-instruct",
        "hf://microsoft/Phi-3.5-mini-instruct@refs/pr/1",
        "hf://a/b@0123456789abcdef0123456789abcdef01234567",
        "pvc://models/phi-3.5/v1",
        "pvc://models.v1/a..b",
        "s3://my-models.v1/phi/3.5",
        "az://models/phi",
        "azureml://registries/azureml/models/Phi-3.5-mini-instruct/versions/6",
        f"{WORKSPACE}/models/phi/versions/2026-11-20",
        f"{WORKSPACE}/datastores/workspaceblobstore/paths/models/phi 3.5/",
        f"{WORKSPACE}/models/phi/versions/1".replace("resourcegroups", "resourceGroups"),
    ],
)
def test_source_of_a_model(crds: Kubectl, source: str) -> None:
    assert crds.dry_run(job(model={"source": source}))


@pytest.mark.parametrize(
    "source",
    [
        "pvc://data/rows.jsonl",
        "https://host.example:8443/rows.jsonl?version=2",
        "https://host/~me@example/rows.jsonl",
        "hf://datasets/someone/rows/data/train.jsonl",
        "hf://datasets/someone/rows@v1/train.jsonl",
        "s3://rows/v1/train.jsonl",
        "az://rows/train.jsonl",
        f"{WORKSPACE}/datastores/workspaceblobstore/paths/rows/train.jsonl",
    ],
)
def test_source_of_data(crds: Kubectl, source: str) -> None:
    assert crds.dry_run(with_data(source=source))


@pytest.mark.parametrize(
    "template",
    ["{a}", "{{{a}}}", '{{"q": "{prompt}"}}\n', "<|user|>\n{prompt}<|end|>\n", "Frage: {_f1}\n🙂"],
)
def test_template(crds: Kubectl, template: str) -> None:
    assert crds.dry_run(with_data(template=template))


@pytest.mark.parametrize(
    "text", ["1s", "05m", "24h", "365d", "1d1s", "1h30m", "9999d99999h999999m99999999s"]
)
def test_duration(crds: Kubectl, text: str) -> None:
    stored = crds.dry_run(job(progressDeadline=text))["spec"]
    assert parsed(Spec.from_body(stored).progressDeadline or "") > timedelta()


def test_longest_names(crds: Kubectl) -> None:
    assert crds.dry_run(job(name="a" * 52, adapters=[adapter("b" * 40)]))


def test_64_adapters_are_within_the_cost_of_the_rules(crds: Kubectl) -> None:
    template = "{prompt}" + "x" * 8000
    many = [adapter(f"a{i}", data={**DATA, "template": template}) for i in range(64)]
    manifest = job(adapters=many, evaluate={})
    # Half a megabyte: client-side apply would copy it into an annotation, which cannot hold it.
    stored = crds.apply(manifest, "--server-side", "--dry-run=server")
    assert len(stored["spec"]["adapters"]) == 64


@pytest.mark.parametrize("section", sorted(FULL["spec"]))
def test_any_section_may_be_edited(kubectl: Kubectl, section: str) -> None:
    kubectl.apply(FULL)
    other = {**MODEL, "source": "pvc://models/other"} if section == "model" else None
    without = {name: part for name, part in FULL["spec"].items() if name != section}
    if section == "quantize":
        del without["evaluate"]  # which compares with the model before it
    edited = kubectl.apply({**FULL, "spec": {**without, **({section: other} if other else {})}})
    assert edited["spec"].get(section) == {**ALWAYS, "model": other}.get(section)
    assert kubectl.apply(FULL)["spec"] == FULL["spec"]


def test_status_is_written_apart_from_the_spec(kubectl: Kubectl) -> None:
    applied = kubectl.apply({**job(), "status": {"phase": "Ready"}})
    assert applied["status"] == UNSEEN
    both = '{"spec": {"serve": {}}, "status": {"phase": "Running", "progress": "1/3"}}'
    kubectl("patch", NAME, "travel", "--subresource=status", "--type=merge", f"--patch={both}")
    assert kubectl("get", NAME, "travel", "--output=jsonpath={.status.phase}") == "Running"
    assert kubectl("get", NAME, "travel", "--output=jsonpath={.spec.serve}") == ""
    assert kubectl("get", NAME, "travel", "--output=jsonpath={.metadata.generation}") == "1"


@pytest.mark.parametrize("name", [NAME, "olivejob", "olivejobs", "olive"])
def test_kubectl_shows_how_it_is_going(kubectl: Kubectl, name: str) -> None:
    kubectl.apply(job())
    status = (
        '{"status": {"phase": "Running", "stage": "quantize", "progress": "1/4", "gpuSeconds": 93,'
        ' "serving": {"url": "http://travel"}, "conditions": [{"type": "Ready", "status": "False",'
        ' "reason": "Working", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}'
    )
    kubectl("patch", NAME, "travel", "--subresource=status", "--type=merge", f"--patch={status}")
    header, row = kubectl("get", name).splitlines()
    assert header.split() == ["NAME", "PHASE", "STAGE", "PROGRESS", "GPU-SECONDS", "AGE"]
    shown = ["travel", "Running", "quantize", "1/4", "93"]
    assert row.removeprefix("optimizationjob.olive-operator.io/").split()[:-1] == shown
    wide_header, wide_row = kubectl("get", name, "--output=wide").splitlines()
    assert wide_header.split()[-3:-1] == ["REASON", "URL"]
    assert wide_row.split()[-3:-1] == ["Working", "http://travel"]


def test_explain_tells_every_field(crds: Kubectl) -> None:
    told = crds("explain", "olivejob.spec", "--recursive")
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for section in schema["properties"]["spec"]["properties"]:
        assert f"  {section}\t<" in told
    assert "rtn (round to nearest" in crds("explain", "olivejob.spec.quantize.algorithm")


def _undescribed(schema: Any, path: str = "") -> list[str]:
    inside = schema.get("items", schema)
    return [
        f"{path}.{name}"
        for name, part in inside.get("properties", {}).items()
        if "description" not in part and path
    ] + [
        field
        for name, part in inside.get("properties", {}).items()
        if name != "metadata"
        for field in _undescribed(part, f"{path}.{name}")
    ]


@pytest.mark.parametrize("kind", ["optimizationjobs", "artifacts"])
def test_every_field_is_described(kind: str) -> None:
    crd = yaml.safe_load((ROOT / "crds" / f"{kind}.olive-operator.io.yaml").read_text())
    assert _undescribed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) == []
