"""Who reaches a serving: a NetworkPolicy around its pods, and an HTTPRoute to its Service."""

from olive_operator import names
from olive_operator.api.seen import JobSeen
from olive_operator.api.spec import Route
from olive_operator.build.deployment import HEALTH_PORT, PORT
from olive_operator.build.meta import metadata, serving_selector
from olive_operator.build.pod import Manifest


def network_policy(job: JobSeen) -> Manifest:
    """In: everyone to the API, pods of the cluster to probes and metrics. Out: nowhere.

    The API is open by its port, as a gateway's addresses may be none of the cluster's; who may ask
    is for its keys to say. Probes come from the pod's own node, which is always let in. A server
    asks nobody: its model is on a volume, which the node mounts.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(job, names.serving(job.name), "serving"),
        "spec": {
            "podSelector": {"matchLabels": serving_selector(job)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [{"port": PORT, "protocol": "TCP"}]},
                {
                    "from": [{"namespaceSelector": {}}],
                    "ports": [{"port": HEALTH_PORT, "protocol": "TCP"}],
                },
            ],
            "egress": [],
        },
    }


def route(job: JobSeen, wanted: Route) -> Manifest:
    """Everything that comes to these hosts of these gateways, to the Service."""
    parents = (
        {"name": p.name, "namespace": p.namespace, "sectionName": p.sectionName}
        for p in wanted.parentRefs
    )
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(job, names.serving(job.name), "serving"),
        "spec": {
            "parentRefs": [{k: v for k, v in parent.items() if v} for parent in parents],
            **({"hostnames": list(wanted.hostnames)} if wanted.hostnames else {}),
            "rules": [{"backendRefs": [{"name": names.serving(job.name), "port": 80}]}],
        },
    }
