"""publish: the exported model with its adapters as a version that others find. No torch.

A version has a model card and a bill of materials beside its files. What decides its content, the
keys of the base and of the adapters, stands on it wherever it is: where the target has a version of
the same content already, whoever put it there and whatever became of the attempt, that is it.
"""

from dataclasses import asdict
from typing import Protocol

from olive_contract.params import PublishParams
from olive_contract.stage import Published
from olive_stage.console import progress, say
from olive_stage.publish.card import CARD_FILE, card
from olive_stage.publish.materials import MATERIALS_FILE, materials
from olive_stage.publish.mlmodel import MLMODEL_FILE, mlmodel
from olive_stage.publish.origin import origin_of
from olive_stage.publish.version import Version, with_documents
from olive_stage.work import Made, Work, invalid

LIBRARIES = ("azure-ai-ml", "azure-storage-blob", "huggingface_hub", "requests")


class Target(Protocol):
    """Where a version goes."""

    def publish(self, version: Version) -> Published:
        """The version as it is there: found, completed or made.

        A StageFailure in words for what is refused, or went wrong.
        """


def make(params: PublishParams, work: Work) -> Made:
    """Publish inputs ``base`` and ``adapter/…``; the artifact is what tells of them."""
    target = target_of(params)
    origin = origin_of(work)
    (work.out / CARD_FILE).write_text(card(origin))
    (work.out / MATERIALS_FILE).write_text(materials(origin))
    if params.azureML and params.azureML.type == "mlflow":
        (work.out / MLMODEL_FILE).write_text(mlmodel(origin))
    version = with_documents(work, origin)
    progress(1, message="looking for the version")
    published = target.publish(version)
    say(f"published as {published.reference}")
    return Made(
        about={"published": asdict(published), "content": version.content},
        libraries=LIBRARIES,
    )


def target_of(params: PublishParams) -> Target:
    """The one target that the parameters name; its libraries are loaded only now."""
    if params.azureML:
        from olive_stage.publish.azureml import AzureMLModel

        return AzureMLModel(params.azureML)
    if params.huggingFace:
        from olive_stage.publish.hub import HubRepository

        return HubRepository(params.huggingFace)
    if params.oci:
        from olive_stage.publish.registry import OCIRepository

        return OCIRepository(params.oci)
    raise invalid("publish names no target: azureML, huggingFace or oci")
