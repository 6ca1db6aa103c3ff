"""The pods that serve: a Deployment."""

from typing import Final

from olive_contract.serving import SERVING_FILE, Serving
from olive_operator import names
from olive_operator.api.seen import JobSeen
from olive_operator.api.spec import LocalCopy, Serve
from olive_operator.build.meta import metadata, serving_selector
from olive_operator.build.pod import STORE_PATH, Manifest, StoreMount, merged, pod_spec
from olive_operator.config import Config

CONFIG_PATH: Final = "/etc/olive"
KEYS_PATH: Final = "/etc/olive-keys"
LOCAL_PATH: Final = "/local"
PORT, HEALTH_PORT = 8080, 8081
DRAIN_SECONDS = 5
GRACE_SECONDS = 45
"""More than the drain and the server's own 25 seconds for requests that run."""


def deployment(
    job: JobSeen, what: Serving, store: StoreMount, replicas: int | None, config: Config
) -> Manifest:
    """``replicas`` None: it does not say how many pods there are to be."""
    serve = job.spec.serve or Serve()
    meta = metadata(job, names.serving(job.name), "serving")
    volumes: list[Manifest] = [
        store.volume,
        {"name": "serving", "configMap": {"name": names.serving_config(job.name, what.model)}},
    ]
    if serve.apiKeys:
        volumes.append({"name": "keys", "secret": {"secretName": serve.apiKeys.secretRef}})
    if serve.localCopy:
        volumes.append({"name": "local", "emptyDir": {"sizeLimit": serve.localCopy.sizeLimit}})
    spec = {
        **pod_spec(_container(serve, config), volumes, config.serve, config),
        "topologySpreadConstraints": _spread(job),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    if store.affinity:
        spec["affinity"] = store.affinity
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "selector": {"matchLabels": serving_selector(job)},
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


def _container(serve: Serve, config: Config) -> Manifest:
    mounts: list[Manifest] = [
        {"name": "store", "mountPath": STORE_PATH, "readOnly": True},
        {"name": "serving", "mountPath": CONFIG_PATH, "readOnly": True},
    ]
    if serve.apiKeys:
        mounts.append({"name": "keys", "mountPath": KEYS_PATH, "readOnly": True})
    if serve.localCopy:
        mounts.append({"name": "local", "mountPath": LOCAL_PATH})
    return {
        "name": "serve",
        "image": config.images.serve,
        "args": _arguments(serve),
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        # A copy takes as long as the store takes to read; no pod is to begin again meanwhile.
        "startupProbe": _probe(
            "/healthz" if serve.localCopy else "/readyz", period=2, failures=450
        ),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        # Endpoints forget a pod a moment after it is told to stop; until then it answers.
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "resources": _resources(serve, config),
        "volumeMounts": mounts,
    }


def _arguments(serve: Serve) -> list[str]:
    return [
        *("--store", STORE_PATH, "--serving", f"{CONFIG_PATH}/{SERVING_FILE}"),
        *(_local(serve.localCopy) if serve.localCopy else ()),
        *(("--api-keys", KEYS_PATH) if serve.apiKeys else ()),
        *(() if serve.page else ("--no-page",)),
    ]


def _local(copy: LocalCopy) -> list[str]:
    return ["--local", LOCAL_PATH, "--local-size-limit", str(copy.bytes)]


def _resources(serve: Serve, config: Config) -> Manifest:
    """With room for a local copy, so that no pod is put where the disk has none."""
    copy = serve.localCopy
    room = {"requests": {"ephemeral-storage": copy.sizeLimit}} if copy else {}
    return merged(merged(config.serve.resources, room), serve.resources)


def _spread(job: JobSeen) -> list[Manifest]:
    """Over nodes and zones, where that can be had; the pods of a rollout are counted apart."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": over,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": serving_selector(job)},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for over in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def _probe(path: str, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "health"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }
