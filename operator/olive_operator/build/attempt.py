"""One attempt of a stage: a batch/v1 Job that runs one pod once."""

from olive_contract.keys import digest
from olive_contract.params import FetchParams
from olive_contract.stage import StageInput
from olive_operator import labels, names
from olive_operator.api.seen import JobSeen
from olive_operator.api.stage import Address, Stage
from olive_operator.build.access import Access, access
from olive_operator.build.gpu import affinity_to, ask_for
from olive_operator.build.meta import metadata
from olive_operator.build.pod import (
    SOURCES_PATH,
    STORE_PATH,
    Manifest,
    StoreMount,
    merged,
    pod_spec,
)
from olive_operator.config import Config

WITHOUT_TORCH = frozenset({"fetch", "check", "adapter", "evaluate", "publish"})
GRACE_SECONDS = 120
"""For a checkpoint when it is told to stop."""


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
    outside, queue = access(stage, config.egress), job.spec.queue
    pod = _pod(job, stage, address, store, outside, config, less)
    notes = {
        labels.STAGE_NAME: stage.name,
        labels.ADDRESS: address.name,
        labels.CLAIM: store.claim,
        labels.TEMPLATE: digest([pod, queue] if queue else pod)[:16],
    }
    name = names.attempt(job.name, job.uid, stage.name, address.name, store.claim, number)
    meta = metadata(job, name, "stage", {**marks, **store.labels, **outside.labels}, notes)
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
    job: JobSeen,
    stage: Stage,
    address: Address,
    store: StoreMount,
    outside: Access,
    config: Config,
    less: int,
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
        job=f"{job.namespace}/{job.name}".lstrip("/") if stage.kind == "publish" else "",
        gates=_gates(job) if stage.kind == "publish" else (),
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
    if isinstance(stage.params, FetchParams) and stage.params.source.startswith("pvc://"):
        _source(stage.params.source, store.claim, container, volumes)
    _let_out(outside, container, volumes)
    if stage.gpu:
        ask_for(job.spec.gpu, container, volumes, defaults)
    spec = {
        **pod_spec(container, volumes, defaults, config),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    if outside.serviceAccountName:
        spec["serviceAccountName"] = outside.serviceAccountName
    if job.spec.priorityClassName:
        spec["priorityClassName"] = job.spec.priorityClassName
    if affinity := {**store.affinity, **(affinity_to(job.spec.gpu) if stage.gpu else {})}:
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


def _gates(job: JobSeen) -> tuple[str, ...]:
    gates = job.spec.evaluate.gates if job.spec.evaluate else ()
    return tuple(sentence for gate in gates for sentence in gate.sentences)


def _let_out(outside: Access, container: Manifest, volumes: list[Manifest]) -> None:
    """Hand over what the pod needs outside of the cluster."""
    if outside.env:
        container["env"] = list(outside.env)
    for number, (folder, volume) in enumerate(outside.files):
        name = f"access-{number}"
        container["volumeMounts"].append({"name": name, "mountPath": folder, "readOnly": True})
        volumes.append({"name": name, **volume})


def _source(source: str, claim: str, container: Manifest, volumes: list[Manifest]) -> None:
    """Mount the claim that ``pvc://claim/path`` names, read-only."""
    named = source.removeprefix("pvc://").partition("/")[0]
    mount = {"name": "store", "mountPath": f"{SOURCES_PATH}/{named}", "readOnly": True}
    if named != claim:
        mount["name"] = "source"
        volumes.append(
            {"name": "source", "persistentVolumeClaim": {"claimName": named, "readOnly": True}}
        )
    container["volumeMounts"].append(mount)
