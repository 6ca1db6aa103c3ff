"""OptimizationJobs as people write them."""

from typing import Any

from .kubectl import Manifest

DATA = {"source": "pvc://data/travel.jsonl", "template": "{prompt} {response}"}


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


def with_toleration(**fields: Any) -> Manifest:
    """A job whose GPU stages tolerate this."""
    return job(gpu={"tolerations": [fields]})


FULL = job(
    model={"source": "hf://microsoft/Phi-3.5-mini-instruct@main", "secretRef": "hf-token"},
    quantize={
        "algorithm": "gptq",
        "precision": "int4",
        "groupSize": 64,
        "calibration": {
            "source": "hf://datasets/someone/travel@main/train.jsonl",
            "secretRef": "hf-token",
            "template": "<|user|>\n{prompt}<|end|>\n",
            "samples": 256,
            "maxLength": 1024,
        },
    },
    adapters=[
        {
            "name": "travel",
            "data": {
                "source": "https://data.example/data_sample_travel.jsonl",
                "secretRef": "data-token",
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
            },
        },
        {"name": "french", "source": "hf://someone/phi-3.5-french-lora", "secretRef": "hf-token"},
        {"name": "house-style", "source": "pvc://adapters/house style/v2"},
    ],
    export={"device": "cpu", "provider": "CPUExecutionProvider"},
    evaluate={"samples": 128},
    serve={
        "replicas": 2,
        "resources": {
            "requests": {"cpu": 8, "memory": "8Gi"},
            "limits": {"cpu": "8000m", "memory": "12Gi"},
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
)
"""Every field at once, but for storage.claim, which excludes the others of storage."""
