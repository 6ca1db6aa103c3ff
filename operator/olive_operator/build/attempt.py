"""One attempt of a stage: a batch/v1 Job that runs one pod once."""

from olive_contract.keys import digest
from olive_contract.params import FetchParams
from olive_contract.stage import StageInput
from olive_operator import labels, names
from olive_operator.api.seen import JobSeen
from olive_operator.api.stage import Address, Stage
from olive_operator.build.credentials import credentials
from olive_operator.build.meta import metadata
from olive_operator.build.pod import (
    SOURCES_PATH,
    STORE_PATH,
    Manifest,
    StoreMount,
    merged,
    pod_spec,
)
from olive_operator.config import Config, PodDefaults

WITHOUT_TORCH = frozenset({"fetch", "check", "adapter", "evaluate"})
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
GRACE_SECONDS = 120
"""For a checkpoint when it is told to stop."""
SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108
"""A container's own holds 64 MiB, which NCCL finds too small."""


def attempt(
    job: JobSeen,
    stage: Stage,
    address: Address,
    number: int,
    store: StoreMount,
    config: Config,
    less: int = 0,
) -> Manifest:
    """The Job of attempt ``number``. Its pod gets the whole input as its only argument.

    ``less``: how often the stage has failed for want of memory. With a queue the Job is suspended
    until Kueue admits it.
    """
    marks = {labels.STAGE: stage.kind, labels.ATTEMPT: str(number)}
    if stage.adapter:
        marks[labels.ADAPTER] = stage.adapter
    pod, queue = _pod(job, stage, address, store, config, less), job.spec.queue
    notes = {
        labels.STAGE_NAME: stage.name,
        labels.ADDRESS: address.name,
        labels.CLAIM: store.claim,
        labels.TEMPLATE: digest([pod, queue] if queue else pod)[:16],
    }
    name = names.attempt(job.name, job.uid, stage.name, address.name, store.claim, number)
    meta = metadata(job, name, "stage", {**marks, **store.labels}, notes)
    spec: Manifest = {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        # A queue may take a pod back and give another: never two at work at once.
        "podReplacementPolicy": "Failed",
        "template": {
            "metadata": {"labels": meta["labels"], "annotations": notes},
            "spec": pod,
        },
    }
    if queue:
        meta = {**meta, "labels": {**meta["labels"], labels.QUEUE: queue}}
        spec = {**spec, "suspend": True}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def _pod(
    job: JobSeen, stage: Stage, address: Address, store: StoreMount, config: Config, less: int
) -> Manifest:
    defaults = config.gpuStage if stage.gpu else config.cpuStage
    given = StageInput(
        name=stage.name,
        kind=stage.kind,
        params=stage.body,
        inputs=dict(address.inputs),
        key="" if stage.kind == "fetch" else address.key,
        store=STORE_PATH,
        less=less,
    )
    container: Manifest = {
        "name": "stage",
        "image": _image(stage, config),
        "args": [given.to_json()],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "store", "mountPath": STORE_PATH}],
        "resources": merged(defaults.resources, {}),
    }
    volumes = [store.volume]
    if isinstance(stage.params, FetchParams):
        _source(stage.params.source, stage.secret, store.claim, container, volumes)
    if stage.gpu:
        _gpus(job, container, volumes, defaults)
    spec = {
        **pod_spec(container, volumes, defaults, config),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    if job.spec.priorityClassName:
        spec["priorityClassName"] = job.spec.priorityClassName
    if affinity := {**store.affinity, **(_gpu_affinity(job) if stage.gpu else {})}:
        spec["affinity"] = affinity
    if stage.gpu and job.spec.gpu.tolerations:
        more = (dict(t) for t in job.spec.gpu.tolerations)
        spec["tolerations"] = [*spec.get("tolerations", []), *more]
    return spec


def _image(stage: Stage, config: Config) -> str:
    """The slim image where it is enough; reading a pickle takes PyTorch."""
    pickled = isinstance(stage.params, FetchParams) and stage.params.allowPickle
    slim = stage.kind in WITHOUT_TORCH and not pickled
    return config.images.stageSlim if slim else config.images.stage


def _source(
    source: str, secret: str | None, claim: str, container: Manifest, volumes: list[Manifest]
) -> None:
    """Hand over the credentials, and mount the claim that ``pvc://claim/path`` names, read-only."""
    if secret and (env := list(credentials(source, secret))):
        container["env"] = env
    if not source.startswith("pvc://"):
        return
    named = source.removeprefix("pvc://").partition("/")[0]
    mount = {"name": "store", "mountPath": f"{SOURCES_PATH}/{named}", "readOnly": True}
    if named != claim:
        mount["name"] = "source"
        volumes.append(
            {"name": "source", "persistentVolumeClaim": {"claimName": named, "readOnly": True}}
        )
    container["volumeMounts"].append(mount)


def _gpus(
    job: JobSeen, container: Manifest, volumes: list[Manifest], defaults: PodDefaults
) -> None:
    """Ask for the GPUs; where there are several, NCCL shares memory between their processes."""
    gpu = job.spec.gpu
    container["resources"] = merged(defaults.resources, {"limits": {gpu.resource: gpu.count}})
    if gpu.count > 1:
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
        container["volumeMounts"].append({"name": "shared-memory", "mountPath": SHARED_MEMORY_PATH})


def _gpu_affinity(job: JobSeen) -> Manifest:
    if not job.spec.gpu.products:
        return {}
    products = {
        "key": GPU_PRODUCT_LABEL,
        "operator": "In",
        "values": list(job.spec.gpu.products),
    }
    terms = [{"matchExpressions": [products]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"nodeAffinity": required}
