"""OptimizationJobs as people write them."""

from typing import Any

from .kubectl import Manifest

DATA = {"source": "pvc://data/travel.jsonl", "template": "{prompt} {response}"}
CUDA = {"device": "gpu", "provider": "CUDAExecutionProvider"}
WORKFLOW = {"passes": {"round": {"type": "Rtn", "bits": 4}}}


def job(name: str = "travel", **sections: Any) -> Manifest:
    """The smallest job, with sections added or replaced."""
    spec = {"model": {"source": "hf://microsoft/Phi-3.5-mini-instruct"}, **sections}
    return {
        "apiVersion": "olive-operator.io/v1alpha1",
        "kind": "OptimizationJob",
        "metadata": {"name": name},
        "spec": spec,
    }


def adapter(name: str = "travel", **fields: Any) -> dict[str, Any]:
    """An adapter to be trained, with fields added or replaced."""
    return {"name": name, "data": DATA, **fields}


def with_data(**fields: Any) -> Manifest:
    """A job with one adapter whose data has fields added or replaced."""
    return job(adapters=[adapter(data={**DATA, **fields})])


def with_lora(**fields: Any) -> Manifest:
    """A job with one adapter that is trained like this."""
    return job(adapters=[adapter(lora=fields)])


def with_calibration(**fields: Any) -> Manifest:
    """A job that quantizes by gptq, with fields of the calibration added or replaced."""
    return job(quantize={"algorithm": "gptq", "calibration": {**DATA, **fields}})


def with_evaluation_data(**fields: Any) -> Manifest:
    """A job whose base is measured on data with fields added or replaced."""
    return job(evaluate={"data": {**DATA, **fields}})


def with_gate(**fields: Any) -> Manifest:
    """A job with this gate."""
    return job(adapters=[adapter()], evaluate={"gates": [fields]})


def with_toleration(**fields: Any) -> Manifest:
    """A job whose GPU stages tolerate this."""
    return job(gpu={"tolerations": [fields]})


def with_parent(**fields: Any) -> Manifest:
    """A job that is served at this Gateway."""
    return job(serve={"route": {"parentRefs": [fields]}})


def published_to_azure(**fields: Any) -> Manifest:
    """A job that publishes to Azure ML."""
    return job(publish={"azureML": {"model": "travel", **fields}})


def published_to_hub(**fields: Any) -> Manifest:
    """A job that publishes to a hub."""
    hub = {"repository": "acme/travel", "secretRef": "hub", **fields}
    return job(publish={"huggingFace": hub})


def published_to_registry(**fields: Any) -> Manifest:
    """A job that publishes to an OCI registry."""
    return job(publish={"oci": {"reference": "registry.example.com/travel:v1", **fields}})


FULL = job(
    model={
        "source": "hf://microsoft/Phi-3.5-mini-instruct@main",
        "secretRef": "hf-token",
        "allowPickle": True,
        "trustRemoteCode": True,
    },
    quantize={
        "algorithm": "gptq",
        "precision": "int4",
        "groupSize": 64,
        "calibration": {
            "source": "hf://datasets/someone/travel@main/train.jsonl",
            "secretRef": "hf-token",
            "sha256": "0" * 64,
            "template": "<|user|>\n{prompt}<|end|>\n",
            "samples": 256,
            "maxLength": 1024,
        },
    },
    adapters=[
        {
            "name": "travel",
            "data": {
                "source": "s3://data/data_sample_travel.jsonl",
                "secretRef": "s3-keys",
                "sha256": "1" * 64,
                "template": '<|user|>\n{prompt}<|end|>\n<|assistant|>\n{{"answer": {response}}}',
                "evalSplit": 0.2,
            },
            "lora": {
                "rank": 64,
                "alpha": 128,
                "maxSteps": 500,
                "batchSize": 4,
                "learningRate": 0.0002,
                "maxLength": 2048,
                "seed": 7,
                "dropout": 0.1,
                "rankStabilized": True,
                "targetModules": ["q_proj", "self_attn.k_proj"],
                "excludeModules": ["lm_head"],
                "layersToTransform": [0, 1, 31],
                "rankPattern": {"q_proj": 8},
                "alphaPattern": {"q_proj": 0.5},
                "packing": True,
                "gradientCheckpointing": False,
                "warmupRatio": 0.1,
                "schedule": "cosine",
                "weightDecay": 0.01,
            },
            "allowPickle": False,
        },
        {
            "name": "french",
            "source": "hf://someone/phi-3.5-french-lora",
            "secretRef": "hf-token",
            "allowPickle": True,
        },
        {"name": "house-style", "source": "pvc://adapters/house style/v2", "allowPickle": False},
        {
            "name": "spanish",
            "source": "azureml://registries/models/models/spanish-lora/versions/2",
            "allowPickle": False,
        },
    ],
    export={
        "device": "cpu",
        "provider": "CPUExecutionProvider",
        "head": "fp16",
        "activations": "float32",
    },
    evaluate={
        "samples": 128,
        "reference": True,
        "data": {
            "source": "az://rows/travel.jsonl",
            "secretRef": "storage-account",
            "sha256": "2" * 64,
            "template": "{prompt}",
            "maxLength": 256,
        },
        "gates": [
            {"metric": "perplexity", "max": 9.5},
            {"metric": "tokensPerSecond", "min": 10},
            {"metric": "sizeBytes", "min": "1k", "max": "3Gi"},
            {"metric": "perplexityChange", "min": -0.5, "max": "50m"},
        ],
    },
    publish={
        "azureML": {
            "model": "travel",
            "subscription": "00000000-1111-2222-3333-444444444444",
            "resourceGroup": "ml(prod)",
            "workspace": "slm",
            "type": "mlflow",
            "description": "Answers questions about travelling.",
            "tags": {"team": "travel", "cost center": "42"},
        },
        "huggingFace": {
            "repository": "acme/travel",
            "private": False,
            "branch": "releases/v1",
            "secretRef": "hub-writer",
        },
        "oci": {
            "reference": "registry.example.com:5000/models/travel:v1.2",
            "secretRef": "registry",
        },
    },
    azure={
        "clientID": "00000000-1111-2222-3333-444444444444",
        "tenantID": "55555555-6666-7777-8888-999999999999",
        "serviceAccountName": "olive",
    },
    serve={
        "autoscaling": {"minReplicas": 2, "maxReplicas": 8, "waitingRequests": 2},
        "resources": {
            "requests": {"cpu": 8, "memory": "8Gi"},
            "limits": {"cpu": "8000m", "memory": "12Gi"},
        },
        "localCopy": {"sizeLimit": "20Gi"},
        "apiKeys": {"secretRef": "travel-keys"},
        "page": False,
        "route": {
            "parentRefs": [
                {"name": "public", "namespace": "gateways", "sectionName": "https"},
                {"name": "internal"},
            ],
            "hostnames": ["travel.example.com", "*.models.example.com"],
        },
    },
    gpu={
        "resource": "nvidia.com/gpu",
        "count": 1,
        "products": ["NVIDIA-A10", "NVIDIA-A100-SXM4-80GB"],
        "tolerations": [
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ],
    },
    storage={"size": "200Gi", "storageClassName": "azurefile", "accessMode": "ReadWriteMany"},
    retry={"limit": 5, "backoff": "1m30s"},
    timeouts={
        "fetch": "12h",
        "check": "30m",
        "quantize": "1d",
        "workflow": "2d12h",
        "export": "90m",
        "finetune": "7d",
        "adapter": "300s",
        "reference": "1d2h3m4s",
        "evaluate": "02h",
        "publish": "6h",
    },
    progressDeadline="0s",
    queue="team-a",
    priorityClassName="batch.low",
    suspend=True,
)
"""Every field but those that exclude others: workflow, storage.claim, serve.replicas,
ttlAfterFinished, publish.azureML.registry, azure.secretRef."""
