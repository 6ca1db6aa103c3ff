"""The cluster does what the product and its tests rely on."""

import urllib.error
import urllib.request
from typing import Any

import pytest
from programs import hack

from .namespace import Namespace, eventually

pytestmark = pytest.mark.cluster

SERVE = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"


def pod(image: str, program: str, **container: Any) -> dict[str, Any]:
    """The specification of a pod as restricted as ours: no root, no privileges."""
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": image,
                "command": ["python", "-c", program],
                "securityContext": confined,
                **container,
            }
        ],
    }


def job(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


def test_a_job_that_is_not_root_writes_to_a_claim_and_leaves_a_message(
    namespace: Namespace,
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "store"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    write = "open('/store/f', 'w').write('42'); open('/dev/termination-log', 'w').write('wrote')"
    read = "open('/dev/termination-log', 'w').write(open('/store/f').read())"
    mount = [{"name": "store", "mountPath": "/store"}]
    volume = [{"name": "store", "persistentVolumeClaim": {"claimName": "store"}}]
    namespace.apply(claim)
    for name, program, message in (("write", write, "wrote"), ("read", read, "42")):
        spec = pod(namespace.image, program, volumeMounts=mount) | {"volumes": volume}
        namespace.apply(job(name, spec))
        namespace.wait(f"job/{name}", "condition=Complete")
        ended = ".items[0].status.containerStatuses[0].state.terminated.message"
        assert namespace.get("pods", ended, f"--selector=job-name={name}") == message


def test_a_service_answers_the_machine(namespace: Namespace) -> None:
    spec = pod(namespace.image, SERVE, ports=[{"containerPort": 8080}])
    web = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}}
    ports = [{"port": 80, "targetPort": 8080}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }
    namespace.apply(web | {"spec": spec}, service)
    namespace.wait("pod/web", "condition=Ready")
    address = namespace.get("service/web", ".spec.clusterIP")

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.URLError:
            return False

    eventually(answers)


def test_a_pod_waits_for_a_gpu_until_the_node_has_one(namespace: Namespace) -> None:
    hack("cluster", "gpu", "0")
    spec = pod(namespace.image, "", resources={"limits": {"nvidia.com/gpu": "1"}})
    namespace.apply(job("train", spec))
    selector = "--selector=job-name=train"
    namespace.wait("job/train", "jsonpath={.status.active}=1")
    pod_name = namespace.get("pods", ".items[0].metadata.name", selector)
    namespace.wait(f"pod/{pod_name}", "condition=PodScheduled=False")
    assert namespace.get("pods", ".items[0].status.conditions[0].reason", selector) == (
        "Unschedulable"
    )
    hack("cluster", "gpu", "1", "--product", "NVIDIA-A10")
    try:
        namespace.wait("job/train", "condition=Complete")
        label = r".metadata.labels.nvidia\.com/gpu\.product"
        assert namespace.get("node/olive", label) == "NVIDIA-A10"
    finally:
        hack("cluster", "gpu", "0")


def test_a_pod_that_may_do_anything_is_refused(namespace: Namespace) -> None:
    spec = {"containers": [{"name": "main", "image": namespace.image}]}
    web = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        namespace.apply(web)
