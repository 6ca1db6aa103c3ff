"""Who reaches the operator's pods, and whom they reach."""

import json

import pytest

from olive_operator import records
from olive_operator.build import meta

from .helm import Helm, Manifest, of_kind, values

EGRESS = [{"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"port": 6443}]}]
TO_THE_API_SERVER = ("--set-json", f"networkPolicy.egress={json.dumps(EGRESS)}")
METRICS = {"port": "metrics", "protocol": "TCP"}


def _policy(helm: Helm, *arguments: str) -> Manifest:
    found: Manifest = of_kind(helm.manifests(*arguments), "NetworkPolicy")["spec"]
    return found


def test_it_is_for_the_operators_pods_and_its_port_is_theirs(helm: Helm) -> None:
    rendered = helm.manifests()
    policy = of_kind(rendered, "NetworkPolicy")["spec"]
    deployment = of_kind(rendered, "Deployment")["spec"]
    assert policy["podSelector"] == deployment["selector"]
    (container,) = deployment["template"]["spec"]["containers"]
    assert METRICS["port"] in [port["name"] for port in container["ports"]]


def test_as_installed_it_keeps_nobody_from_metrics_and_the_operator_from_nothing(
    helm: Helm,
) -> None:
    policy = _policy(helm)
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"ports": [METRICS]}]
    assert "egress" not in policy


def test_who_may_ask_for_metrics_may_and_so_may_helm_test(helm: Helm) -> None:
    (rule,) = _policy(helm, *values("everything"))["ingress"]
    monitoring, test = rule["from"]
    assert monitoring == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    }
    labels = of_kind(helm.tests(*values("everything")), "Pod")["metadata"]["labels"]
    assert test["podSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ([], {}),
        (
            ["--set", "namespaces={a,b}"],
            {
                "matchExpressions": [
                    {
                        "key": "kubernetes.io/metadata.name",
                        "operator": "In",
                        "values": ["a", "b"],
                    }
                ]
            },
        ),
    ],
    ids=["of the cluster", "of two namespaces"],
)
def test_with_the_api_servers_address_it_reaches_that_and_dns_and_servings(
    helm: Helm, arguments: list[str], where: Manifest
) -> None:
    policy = _policy(helm, *TO_THE_API_SERVER, *arguments)
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    dns, servings, *given = policy["egress"]
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    (peer,) = servings["to"]
    assert peer["namespaceSelector"] == where
    assert servings["ports"] == [{"port": 8081, "protocol": "TCP"}]
    assert given == EGRESS


def test_servings_are_found_by_their_labels_and_at_the_port_where_they_are_asked(
    helm: Helm,
) -> None:
    servings = _policy(helm, *TO_THE_API_SERVER)["egress"][1]
    (peer,) = servings["to"]
    assert peer["podSelector"]["matchLabels"].items() <= meta.common("serving").items()
    ready = {"podIP": "10.1.2.3", "conditions": [{"type": "Ready", "status": "True"}]}
    asked = records.answers_at({"status": ready})
    assert [f"10.1.2.3:{port['port']}" for port in servings["ports"]] == [asked]


def test_it_can_be_left_out(helm: Helm) -> None:
    rendered = helm.manifests("--set", "networkPolicy.create=false")
    assert not [m for m in rendered if m["kind"] == "NetworkPolicy"]
