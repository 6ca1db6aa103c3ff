"""How many serving pods there are: at least (PodDisruptionBudget), and by load (an autoscaler)."""

from typing import Final

from olive_operator import names
from olive_operator.api.seen import JobSeen
from olive_operator.api.spec import Autoscaling
from olive_operator.build.meta import metadata, serving_selector
from olive_operator.build.pod import Manifest

WAITING: Final = "vllm_num_requests_waiting"
"""The server's vllm:num_requests_waiting, under a name that the metrics API takes."""
CALM_SECONDS: Final = 300
"""No fewer pods than what was needed at any time in it: a model takes long to load."""


def disruption_budget(job: JobSeen) -> Manifest:
    """Drains take one pod at a time. With a single replica they take that: a node can be emptied.

    Pods that are not ready serve nobody, and do not hold a drain up.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(job, names.serving(job.name), "serving"),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": serving_selector(job)},
        },
    }


def autoscaler(job: JobSeen, wanted: Autoscaling) -> Manifest:
    """By the requests that wait in a pod, on average; one pod a minute fewer when they do not."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(job, names.serving(job.name), "serving"),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": names.serving(job.name),
            },
            "minReplicas": wanted.minReplicas,
            "maxReplicas": wanted.maxReplicas,
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": WAITING},
                        "target": {
                            "type": "AverageValue",
                            "averageValue": str(wanted.waitingRequests),
                        },
                    },
                }
            ],
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": CALM_SECONDS,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                }
            },
        },
    }
