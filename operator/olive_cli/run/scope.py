"""What of a job this machine carries out: the spec fitted to it, and the stages wanted. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from olive_cli.errors import CliError
from olive_cli.run.machine import Machine
from olive_operator.api.spec import Publish, Spec
from olive_operator.api.stage import Stage
from olive_operator.plan.graph import graph


def fitted(spec: Spec, here: Machine) -> Spec:
    """The spec for this machine, by which no key changes.

    No stage asks for more GPUs than there are; and nothing is served by the plan, whose serving is
    a Deployment. Neither is there a queue, nor anyone who would resume what is suspended. At Azure
    and where it publishes the run is who its user is, whatever the manifest says (place.AS_USER).
    """
    gpu = replace(spec.gpu, count=min(spec.gpu.count, len(here.gpus)))
    spec = replace(spec, publish=_unsigned(spec.publish), azure=None)
    return replace(spec, gpu=gpu, serve=None, queue=None, suspend=False, ttlAfterFinished=None)


def _unsigned(publish: Publish | None) -> Publish | None:
    """The same targets, without the Secrets of a cluster."""
    if publish is None:
        return None
    hub, oci = publish.huggingFace, publish.oci
    return replace(
        publish,
        huggingFace=hub and replace(hub, secretRef=None),
        oci=oci and replace(oci, secretRef=None),
    )


def differences(spec: Spec, here: Machine) -> Iterator[str]:
    """What is to be said of the fitting, once."""
    on_gpu, count = [s.name for s in graph(spec) if s.gpu], fitted(spec, here).gpu.count
    if not on_gpu or count == spec.gpu.count:
        return
    if count == 0:
        yield f"no GPU is used on this machine: {', '.join(on_gpu)} on CPU ({here.cores} cores)"
    else:
        yield f"gpu.count is {spec.gpu.count}; this machine gives {count}"


def chosen(spec: Spec, until: str | None) -> tuple[Stage, ...]:
    """All stages, or the one named and those it needs; CliError if there is none of that name."""
    stages = graph(spec)
    if until is None:
        return stages
    by_name = {s.name: s for s in stages}
    if until not in by_name:
        raise CliError(f"there is no stage {until!r}; there are {', '.join(by_name)}")
    needed, left = set[str](), [until]
    while left:
        stage = by_name[left.pop()]
        needed.add(stage.name)
        left += [*stage.inputs.values(), *stage.after]
    return tuple(s for s in stages if s.name in needed)
