"""The pods of a job, of every stage and of its serving, where Pod Security is enforced."""

from builders import World, adapter

from .kubectl import Kubectl, Manifest


def pods() -> list[Manifest]:
    """The pods that a job with everything comes to, by the names of their makers."""
    world = World(
        model={"source": "s3://models/phi", "secretRef": "s3-keys"},
        quantize={"algorithm": "awq", "calibration": {"source": "hf://x", "template": "{x}"}},
        adapters=[adapter("travel")],
        gpu={"count": 2, "products": ["NVIDIA-A10"]},
        publish={
            "azureML": {"registry": "models", "model": "travel"},
            "huggingFace": {"repository": "acme/travel", "secretRef": "hub"},
            "oci": {"reference": "registry.example.com/travel:v1", "secretRef": "registry"},
        },
        azure={"clientID": "c", "tenantID": "t"},
    ).settle()
    world.finish("fetch/model", "fetch/calibration", "fetch/travel", "check/quantize", "quantize")
    world.finish("export", "reference/travel", "check/travel", "finetune/travel")
    world.finish("adapter/travel", "evaluate/travel")
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": manifest["metadata"]["name"]},
            "spec": manifest["spec"]["template"]["spec"],
        }
        for manifest in world.manifests.values()
        if "template" in manifest.get("spec", {})
    ]


def test_restricted_namespace_takes_every_pod(kubectl: Kubectl) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("label", "namespace", kubectl.namespace, label)
    wanted = pods()
    assert "/dev/shm" in str(wanted)
    assert "serviceAccountToken" in str(wanted)
    taken = kubectl.dry_run({"apiVersion": "v1", "kind": "List", "items": wanted})
    assert len(taken["items"]) == len(wanted) == 15
