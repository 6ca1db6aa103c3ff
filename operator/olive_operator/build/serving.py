"""The serving: what to serve (ConfigMap), the pods that do (Deployment), and the Service."""

from olive_contract.keys import digest
from olive_contract.serving import SERVING_FILE, Serving
from olive_operator import labels, names
from olive_operator.api.seen import JobSeen
from olive_operator.build.meta import metadata
from olive_operator.build.pod import STORE_PATH, Manifest, StoreMount, merged, pod_spec
from olive_operator.config import Config

CONFIG_PATH = "/etc/olive"
PORT, HEALTH_PORT = 8080, 8081
DRAIN_SECONDS = 5
GRACE_SECONDS = 45
"""More than the drain and the server's own 25 seconds for requests that run."""


def serving(job: JobSeen, what: Serving, store: StoreMount, config: Config) -> list[Manifest]:
    """The three children in the order in which they are to be applied."""
    manifests = [
        _config(job, what),
        _deployment(job, what, store, config),
        _service(job),
    ]
    return [_sealed(m) for m in manifests]


def _sealed(manifest: Manifest) -> Manifest:
    """With the manifest's own hash as an annotation, so that an unchanged one is not applied."""
    notes = {labels.APPLIED: digest(manifest)[:16]}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}


def _selector(job: JobSeen) -> dict[str, str]:
    return {labels.JOB: job.name, labels.COMPONENT: "serving"}


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
            "selector": _selector(job),
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def _deployment(job: JobSeen, what: Serving, store: StoreMount, config: Config) -> Manifest:
    serve = job.spec.serve
    replicas, resources = (serve.replicas, serve.resources) if serve else (0, {})
    container: Manifest = {
        "name": "serve",
        "image": config.images.serve,
        "args": ["--store", STORE_PATH, "--serving", f"{CONFIG_PATH}/{SERVING_FILE}"],
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/readyz", period=2, failures=450),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        # Endpoints forget a pod a moment after it is told to stop; until then it answers.
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "resources": merged(config.serve.resources, resources),
        "volumeMounts": [
            {"name": "store", "mountPath": STORE_PATH, "readOnly": True},
            {"name": "serving", "mountPath": CONFIG_PATH, "readOnly": True},
        ],
    }
    volumes: list[Manifest] = [
        store.volume,
        {"name": "serving", "configMap": {"name": names.serving_config(job.name, what.model)}},
    ]
    meta = metadata(job, names.serving(job.name), "serving")
    spec = {
        **pod_spec(container, volumes, config.serve, config),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    if store.affinity:
        spec["affinity"] = store.affinity
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": _selector(job)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": {
                "metadata": {"labels": {**meta["labels"], **store.labels}},
                "spec": spec,
            },
        },
    }


def _probe(path: str, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "health"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }
