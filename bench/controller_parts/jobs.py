"""What the bench asks of the cluster: jobs that share nothing, and how kwok plays their pods.

Sources of its own give every job keys of its own, so that no stage is a hit in the store.
"""

from typing import Any, Final

from olive_operator import labels, names
from olive_operator.api.spec import Spec
from olive_operator.plan.graph import graph

Manifest = dict[str, Any]

NAMESPACES: Final = tuple(f"bench-{number}" for number in range(10))
FIRST: Final = f"{labels.JOB}=job-0000,{labels.STAGE}=fetch"
"""Selects the Jobs that the first job began with."""
BARE: Final = "bench-bare"
"""The namespace of the Jobs that the bare client creates."""
ADAPTERS: Final = ("first", "second", "third")
SHORTEST_MS: Final = 1000


def job(number: int) -> Manifest:
    """An OptimizationJob with three adapters and no serving: it is Ready when all is made."""
    name = f"job-{number:04}"
    return {
        "apiVersion": labels.API_VERSION,
        "kind": "OptimizationJob",
        "metadata": {"name": name, "namespace": NAMESPACES[number % len(NAMESPACES)]},
        "spec": _spec(name),
    }


def _spec(name: str) -> Manifest:
    """Without a GPU there are no checks: twelve stages."""
    return {
        "model": {"source": f"hf://bench/{name}@main"},
        "quantize": {"algorithm": "rtn"},
        "adapters": [
            {
                "name": adapter,
                "data": {
                    "source": f"https://bench.example/{name}/{adapter}.jsonl",
                    "template": "{prompt} {response}",
                },
            }
            for adapter in ADAPTERS
        ],
        "gpu": {"count": 0},
    }


def copy(job: Manifest, name: str) -> Manifest:
    """A Job as the operator has created it, without an owner, so that only its own controller,
    the binder and kwok look at it, as they do at the operator's."""
    spec, template = job["spec"], job["spec"]["template"]
    return {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "metadata": {
            "namespace": BARE,
            "name": f"bare-{name}",
            "labels": _marks(job["metadata"]["labels"]),
            "annotations": job["metadata"]["annotations"],
        },
        "spec": {
            **{field: value for field, value in spec.items() if field != "selector"},
            "template": {
                **template,
                "metadata": {
                    **template["metadata"],
                    "labels": _marks(template["metadata"]["labels"]),
                },
            },
        },
    }


def _marks(found: Manifest) -> Manifest:
    """Without what the Job's controller, and the operator, know their own by."""
    own = {k: v for k, v in found.items() if not k.endswith(("controller-uid", "job-name"))}
    return {**own, labels.MANAGED_BY: "bench"}


def inputs() -> dict[str, frozenset[str]]:
    """Every stage of such a job, and the stages that have to be done before it."""
    stages = graph(Spec.from_body(_spec("any")))
    return {stage.name: frozenset((*stage.inputs.values(), *stage.after)) for stage in stages}


def store(namespace: str) -> Manifest:
    """The claim of a namespace, for pods on any node: nothing is serialized on it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": names.DEFAULT_CLAIM},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Ti"}},
        },
    }


def played(longest_s: float) -> list[Manifest]:
    """kwok's Stage objects: a pod runs at once, and leaves its report after 1 to ``longest_s`` s.

    The annotation says what the pod is to make. For a fetch that is the hash of its request, which
    does as well for the key of its content.
    """
    report = (
        r'{"outcome": "Succeeded", "key": "%s", "seconds": 1.5, "sizeBytes": 7,'
        r' "message": "made by nobody"}'
    )
    return [
        _stage("runs", {"Pending"}, "Running", _RUNNING),
        _stage(
            "ends",
            {"Running"},
            "Succeeded",
            _ENDED.replace("REPORT", report).replace("ADDRESS", labels.ADDRESS),
            {
                "durationMilliseconds": SHORTEST_MS,
                "jitterDurationMilliseconds": int(longest_s * 1000),
            },
        ),
        {
            **_KIND,
            "metadata": {"name": "goes"},
            "spec": {
                "resourceRef": _POD,
                "selector": {"matchExpressions": [_deleting("Exists")]},
                "next": {"delete": True},
            },
        },
    ]


_KIND: Final = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage"}
_POD: Final = {"apiGroup": "v1", "kind": "Pod"}
_CONTAINER: Final = """
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  restartCount: 0
"""
_RUNNING: Final = f"""
{{{{ $now := Now }}}}
startTime: {{{{ $now | Quote }}}}
{_CONTAINER}
  ready: true
  started: true
  state: {{running: {{startedAt: {{{{ $now | Quote }}}}}}}}
{{{{ end }}}}
"""
_ENDED: Final = f"""
{{{{ $root := . }}}}
{_CONTAINER}
  ready: false
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{{{ (index $root.status.containerStatuses 0).state.running.startedAt | Quote }}}}
      finishedAt: {{{{ Now | Quote }}}}
      message: {{{{ printf `REPORT` (index $root.metadata.annotations "ADDRESS") | Quote }}}}
{{{{ end }}}}
"""


def _stage(
    name: str, phases: set[str], to: str, template: str, delay: Manifest | None = None
) -> Manifest:
    phase = {"key": ".status.phase", "operator": "In", "values": sorted(phases)}
    spec: Manifest = {
        "resourceRef": _POD,
        "selector": {"matchExpressions": [_deleting("DoesNotExist"), phase]},
        "next": {"statusTemplate": f"{template}\nphase: {to}\n"},
    }
    return {
        **_KIND,
        "metadata": {"name": name},
        "spec": {**spec, **({"delay": delay} if delay else {})},
    }


def _deleting(operator: str) -> Manifest:
    return {"key": ".metadata.deletionTimestamp", "operator": operator}
