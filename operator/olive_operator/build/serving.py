"""The serving: what to serve (ConfigMap), the Service, and in which order all of its children come.

The pods are in build/deployment.py, how many of them may be gone or are to be there in
build/scaling.py, who reaches them in build/network.py.
"""

from olive_contract.keys import digest
from olive_contract.serving import SERVING_FILE, Serving
from olive_operator import labels, names
from olive_operator.api.seen import JobSeen
from olive_operator.build.deployment import deployment
from olive_operator.build.meta import metadata, serving_selector
from olive_operator.build.network import network_policy, route
from olive_operator.build.pod import Manifest, StoreMount
from olive_operator.build.scaling import autoscaler, disruption_budget
from olive_operator.config import Config


def serving(
    job: JobSeen, what: Serving, store: StoreMount, replicas: int | None, config: Config
) -> list[Manifest]:
    """The children in the order in which they are to be applied.

    ``replicas`` None: the Deployment does not say how many, as somebody else does.
    """
    spec = job.spec.serve
    manifests = [_config(job, what)]
    if config.serve.networkPolicy:
        manifests.append(network_policy(job))  # before the pods: none is ever without it
    manifests += [
        deployment(job, what, store, replicas, config),
        _service(job),
        disruption_budget(job),
    ]
    if spec and spec.autoscaling:
        manifests.append(autoscaler(job, spec.autoscaling))
    if spec and spec.route and config.gatewayAPI:
        manifests.append(route(job, spec.route))
    return [_sealed(m) for m in manifests]


def _sealed(manifest: Manifest) -> Manifest:
    """With the manifest's own hash as an annotation, so that an unchanged one is not applied."""
    notes = {labels.APPLIED: digest(manifest)[:16]}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}


def _config(job: JobSeen, what: Serving) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(job, names.serving_config(job.name, what.model), "serving"),
        "data": {SERVING_FILE: what.to_json()},
    }


def _service(job: JobSeen) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(job, names.serving(job.name), "serving"),
        "spec": {
            "selector": serving_selector(job),
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }
