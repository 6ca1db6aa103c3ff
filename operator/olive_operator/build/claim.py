"""The claim with the store, for jobs that name none. It is shared, and outlives every job."""

from olive_operator import names
from olive_operator.api.seen import JobSeen
from olive_operator.build.meta import common
from olive_operator.build.pod import Manifest
from olive_operator.config import Config


def claim(job: JobSeen, config: Config) -> Manifest:
    """The namespace's claim; the first job that needs it decides its size."""
    storage, defaults = job.spec.storage, config.storage
    spec: Manifest = {
        "accessModes": [storage.accessMode or defaults.accessMode],
        "resources": {"requests": {"storage": storage.size or defaults.size}},
    }
    if storage_class := storage.storageClassName or defaults.storageClassName:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": names.DEFAULT_CLAIM,
            "namespace": job.namespace,
            "labels": common("store"),
        },
        "spec": spec,
    }
