"""The operator's pod: within Pod Security "restricted", on the ports and probes it listens on."""

import pytest

from .helm import Helm, Manifest, of_kind, values
from .test_golden import CASES

DIGEST = "sha256:" + "0123456789abcdef" * 4


def _pod(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("of", ["the operator", "helm test"])
def test_restricted_pod_security(helm: Helm, name: str, of: str) -> None:
    if of == "the operator":
        pod = _pod(helm.manifests(*values(name)))
    else:
        pod = of_kind(helm.tests(*values(name)), "Pod")["spec"]
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 65532
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    kinds = {key for volume in pod.get("volumes", []) for key in volume}
    assert kinds <= {"name", "configMap", "emptyDir"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not container["securityContext"].get("privileged")
        assert not [port for port in container.get("ports", []) if "hostPort" in port]


def test_ports_and_probes_are_those_of_the_operator(helm: Helm) -> None:
    (container,) = _pod(helm.manifests())["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"metrics": 8080, "probes": 8081}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "probes"}
    assert container["args"] == ["--config", "/etc/olive-operator/config.yaml"]


def test_standby_is_on_another_node_where_there_is_one(helm: Helm) -> None:
    rendered = helm.manifests()
    deployment = of_kind(rendered, "Deployment")["spec"]
    assert deployment["replicas"] == 2
    soft = "preferredDuringSchedulingIgnoredDuringExecution"
    (term,) = _pod(rendered)["affinity"]["podAntiAffinity"][soft]
    apart = term["podAffinityTerm"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert apart["labelSelector"] == deployment["selector"]
    (spread,) = _pod(rendered)["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "ScheduleAnyway",
    )
    assert spread["labelSelector"] == deployment["selector"]
    budget = of_kind(rendered, "PodDisruptionBudget")["spec"]
    assert budget == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": deployment["selector"],
    }


def test_a_spread_of_other_pods_is_taken_as_it_is(helm: Helm) -> None:
    (spread,) = _pod(helm.manifests(*values("everything")))["topologySpreadConstraints"]
    assert spread["labelSelector"] == {"matchLabels": {"example.com/cost-center": "42"}}


def test_single_operator_may_be_evicted(helm: Helm) -> None:
    rendered = helm.manifests("--set", "replicas=1")
    assert not [m for m in rendered if m["kind"] == "PodDisruptionBudget"]


def test_metrics_service_reaches_the_pod(helm: Helm) -> None:
    rendered = helm.manifests(*values("everything"))
    service, deployment = of_kind(rendered, "Service"), of_kind(rendered, "Deployment")
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 9090, "targetPort": "metrics"}]
    chosen = of_kind(rendered, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= service["metadata"]["labels"].items()


def test_names_that_are_host_names_fit_into_one(helm: Helm) -> None:
    longest = ("--set", f"fullnameOverride={'o' * 80}")
    for manifest in (
        of_kind(helm.manifests(*longest), "Service"),
        of_kind(helm.tests(*longest), "Pod"),
    ):
        assert len(manifest["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ("olive/operator", "olive/operator:0.1.0"),
        ("olive/operator:2", "olive/operator:2"),
        ("registry.example:5000/olive/operator", "registry.example:5000/olive/operator:0.1.0"),
        ("registry.example:5000/olive/operator:2", "registry.example:5000/olive/operator:2"),
        (f"olive/operator@{DIGEST}", f"olive/operator@{DIGEST}"),
        (f"olive/operator:2@{DIGEST}", f"olive/operator:2@{DIGEST}"),
    ],
)
def test_images_without_a_tag_are_of_the_charts_version(helm: Helm, given: str, image: str) -> None:
    rendered = helm.manifests("--set", f"images.operator={given}")
    assert _pod(rendered)["containers"][0]["image"] == image
