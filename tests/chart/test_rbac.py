"""What the operator may do, and why: the table is the documentation."""

from collections import defaultdict

import pytest

from .helm import Helm, Manifest, of_kind, values

NEEDED = {
    # Jobs are watched, and deleted at the end of their spec.ttlAfterFinished. Their spec is the
    # user's: only the status is written, as a whole.
    "olive-operator.io/optimizationjobs": "list watch delete",
    "olive-operator.io/optimizationjobs/status": "update",
    # Children name the job as owner and block its deletion until they are gone; where the API
    # server checks that right (OwnerReferencesPermissionEnforcement), it is this one.
    "olive-operator.io/optimizationjobs/finalizers": "update",
    # A record is made when an artifact is in the store, marked when nothing refers to it, and
    # deleted when it was not found there or is to be swept.
    "olive-operator.io/artifacts": "list watch create patch delete",
    # An attempt never changes; it is deleted when the spec no longer asks for it. A sweep is made
    # suspended, and patched to begin.
    "batch/jobs": "list watch create patch delete",
    # Why a pod waits, what it reported; the log's tail of one that failed, its progress.
    "pods": "list watch",
    "pods/log": "get",
    # The serving is server-side applied: patch, and create where it is not there yet. What serves
    # no longer is deleted.
    "apps/deployments": "list watch create patch delete",
    "services": "list watch create patch delete",
    "configmaps": "list watch create patch delete",
    # What goes with it: a drain takes one pod at a time, an autoscaler where the job asks for one,
    # and who reaches the pods.
    "policy/poddisruptionbudgets": "list watch create patch delete",
    "autoscaling/horizontalpodautoscalers": "list watch create patch delete",
    "networking.k8s.io/networkpolicies": "list watch create patch delete",
    # The claim is made once. It holds people's artifacts: it is never changed, never deleted.
    "persistentvolumeclaims": "list watch create",
    # Whether the queue that a job names is there, where Kueue is installed.
    "kueue.x-k8s.io/localqueues": "get",
    # News of a job, for `kubectl describe`; never repeated, so never patched. Of an attempt whose
    # pod does not come, they say why.
    "events": "list create",
}

WITH_ROUTES = {
    **NEEDED,
    # A way in from outside, where the job asks for one.
    "gateway.networking.k8s.io/httproutes": "list watch create patch delete",
}
"""Where the cluster has the Gateway API."""

LEASE = "olive-olive-operator-lease"


def _granted(role: Manifest) -> dict[str, str]:
    granted: dict[str, list[str]] = defaultdict(list)
    for rule in role["rules"]:
        assert set(rule) - {"resourceNames"} == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted[f"{group}/{resource}" if group else resource] += rule["verbs"]
    return {resource: " ".join(verbs) for resource, verbs in granted.items()}


def _of_namespaces(rendered: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those for the jobs' namespaces; the Lease's is in the release's own."""
    found = [m for m in rendered if m["kind"] == kind and m["metadata"]["name"] != LEASE]
    return {m["metadata"]["namespace"]: m for m in found}


def test_the_operator_may_do_what_it_needs_in_the_whole_cluster(helm: Helm) -> None:
    rendered = helm.manifests("--set", "rbac.aggregate=false")
    assert _granted(of_kind(rendered, "ClusterRole")) == NEEDED
    binding = of_kind(rendered, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == of_kind(rendered, "ClusterRole")["metadata"]["name"]
    assert [(s["name"], s["namespace"]) for s in binding["subjects"]] == [
        (of_kind(rendered, "ServiceAccount")["metadata"]["name"], "olive-system")
    ]
    elsewhere = [m["metadata"]["name"] for m in rendered if m["kind"] in ("Role", "RoleBinding")]
    assert elsewhere == [LEASE, LEASE]


def test_with_the_gateway_api_it_may_make_routes(helm: Helm) -> None:
    rendered = helm.manifests("--set", "rbac.aggregate=false", "--set", "gatewayAPI=true")
    assert _granted(of_kind(rendered, "ClusterRole")) == WITH_ROUTES


def test_with_namespaces_it_may_do_that_there_and_nothing_elsewhere(helm: Helm) -> None:
    rendered = helm.manifests(*values("namespaced"))
    roles = _of_namespaces(rendered, "Role")
    assert {ns: _granted(m) for ns, m in roles.items()} == {"team-a": NEEDED, "team-b": NEEDED}
    bindings = _of_namespaces(rendered, "RoleBinding")
    assert set(bindings) == set(roles)
    for binding in bindings.values():
        assert binding["subjects"][0]["namespace"] == "olive-system"
        assert binding["roleRef"]["kind"] == "Role"
    assert not [m for m in rendered if m["kind"].startswith("ClusterRole")]


def test_operators_share_one_lease_and_see_no_other(helm: Helm) -> None:
    rendered = helm.manifests("--set", "fullnameOverride=slm")
    (role,) = [m for m in rendered if m["metadata"]["name"] == "slm-lease" and "rules" in m]
    assert role["metadata"]["namespace"] == "olive-system"
    common = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert role["rules"] == [
        {**common, "verbs": ["create"]},
        {**common, "resourceNames": ["slm"], "verbs": ["get", "update"]},
    ]
    assert "name: slm\n" in of_kind(rendered, "ConfigMap")["data"]["config.yaml"]


def test_requests_for_the_lease_go_first_where_the_chart_is_the_clusters(helm: Helm) -> None:
    rendered = helm.manifests()
    schema, account = of_kind(rendered, "FlowSchema"), of_kind(rendered, "ServiceAccount")
    assert schema["spec"]["priorityLevelConfiguration"] == {"name": "leader-election"}
    (rule,) = schema["spec"]["rules"]
    (subject,) = rule["subjects"]
    who = {"name": account["metadata"]["name"], "namespace": "olive-system"}
    assert subject == {"kind": "ServiceAccount", "serviceAccount": who}
    (asked,) = rule["resourceRules"]
    (lease,) = [m for m in rendered if m["kind"] == "Role" and m["metadata"]["name"] == LEASE]
    assert set(asked["verbs"]) == {verb for rule in lease["rules"] for verb in rule["verbs"]}
    for elsewhere in (values("namespaced"), ["--set", "flowSchema.create=false"]):
        kinds = {m["kind"] for m in helm.manifests(*elsewhere)}
        assert "FlowSchema" not in kinds


@pytest.mark.parametrize("word", ["*", "secrets", "nodes", "impersonate", "escalate", "bind"])
def test_nobody_is_given(helm: Helm, word: str) -> None:
    for role in helm.manifests():
        for rule in role.get("rules", []):
            assert word not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_people_who_may_edit_a_namespace_may_edit_its_jobs(helm: Helm) -> None:
    roles = {
        role["metadata"]["name"].removeprefix("olive-olive-operator-"): role
        for role in helm.manifests()
        if role["kind"] == "ClusterRole"
    }
    assert _granted(roles["view"]) == {
        "olive-operator.io/optimizationjobs": "get list watch",
        "olive-operator.io/artifacts": "get list watch",
    }
    assert _granted(roles["edit"]) == {
        "olive-operator.io/optimizationjobs": "create update patch delete deletecollection",
        "olive-operator.io/artifacts": "delete deletecollection",
    }
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    for name, to in {"view": "view edit admin", "edit": "edit admin"}.items():
        labels = roles[name]["metadata"]["labels"]
        found = [label.removeprefix(aggregated) for label in labels if aggregated in label]
        assert found == to.split()


def test_roles_can_be_somebody_elses(helm: Helm) -> None:
    kinds = {m["kind"] for m in helm.manifests("--set", "rbac.create=false,rbac.aggregate=false")}
    assert not [kind for kind in kinds if "Role" in kind]
