"""The stages that publish the result, the last of the graph: after every evaluation, and its gates.

A version is of the whole set: while one adapter misses a gate, nothing new is published. What was
published stays, whatever becomes of the job.
"""

from collections.abc import Iterator, Sequence

from olive_contract.params import OCI, HuggingFace, PublishParams
from olive_operator.api.spec import Spec
from olive_operator.api.stage import Stage


def stages(spec: Spec, made: Sequence[Stage]) -> Iterator[Stage]:
    """A stage for each target of ``publish``. ``made``: all other stages of the job."""
    publish = spec.publish
    if publish is None:
        return
    inputs = {"base": "export", "model": "fetch/model"}
    inputs |= {s.name: s.name for s in made if s.kind in ("adapter", "evaluate")}
    if publish.azureML:
        params = PublishParams(azureML=publish.azureML)
        yield Stage("publish/azureML", "publish", params, inputs, azure=spec.azure)
    if hub := publish.huggingFace:
        params = PublishParams(huggingFace=HuggingFace(hub.repository, hub.private, hub.branch))
        yield Stage("publish/huggingFace", "publish", params, inputs, secret=hub.secretRef)
    if oci := publish.oci:
        params = PublishParams(oci=OCI(oci.reference))
        yield Stage("publish/oci", "publish", params, inputs, secret=oci.secretRef)
