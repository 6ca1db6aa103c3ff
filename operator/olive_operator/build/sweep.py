"""A sweep: a batch/v1 Job whose pod removes artifacts from a store, and what was left over."""

from typing import Final

from olive_contract.sweep import Sweep
from olive_operator import labels, names
from olive_operator.build.meta import common
from olive_operator.build.pod import STORE_PATH, Manifest, StoreMount, pod_spec
from olive_operator.config import Config, PodDefaults

RESOURCES: Final[dict[str, dict[str, str]]] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"memory": "256Mi"},
}
"""Deleting files takes next to nothing, however large they are."""
GRACE_SECONDS: Final = 5
"""It may be stopped at any instant."""
NEVER_GIVE_UP: Final = 2**31 - 1


def sweep(namespace: str, what: Sweep, store: StoreMount, config: Config) -> Manifest:
    """The Job, suspended: what it is to remove stands in it before anything is removed.

    It has no owner, as the store has none. A pod that fails is started again, later each time.
    """
    mount = {"name": "store", "mountPath": STORE_PATH}
    container: Manifest = {
        "name": "sweep",
        "image": config.images.stageSlim,
        "args": ["sweep", what.to_json()],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [mount],
        "resources": RESOURCES,
    }
    where = PodDefaults(
        nodeSelector=config.cpuStage.nodeSelector, tolerations=config.cpuStage.tolerations
    )
    pod = {
        **pod_spec(container, [store.volume], where, config),
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    if store.affinity:
        pod["affinity"] = store.affinity
    marks, notes = {**common("sweep"), **store.labels}, {labels.CLAIM: store.claim}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.sweep(store.claim, what.keys),
            "namespace": namespace,
            "labels": marks,
            "annotations": notes,
        },
        "spec": {
            "suspend": True,
            "backoffLimit": NEVER_GIVE_UP,
            # One pod at a time, even where a node is lost: the Job is over when no pod works on.
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": marks, "annotations": notes}, "spec": pod},
        },
    }
