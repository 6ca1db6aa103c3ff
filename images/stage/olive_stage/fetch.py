"""fetch: a model, a data set or an adapter into the store, checked, named by its content.

The only stage that needs a network, and the only one whose key is found here: from the commit, or
from the digest of what was read. What is in the store already is not fetched again; data is still
checked against the template, which is no part of its key.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from olive_contract.artifact import Artifact, File, describe
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import content_key
from olive_contract.params import FetchParams
from olive_contract.store import Store
from olive_stage import pickles, source, template
from olive_stage.adapter_folder import check_adapter
from olive_stage.claim import ClaimOrigin
from olive_stage.code_files import check_code
from olive_stage.copying import content_of
from olive_stage.genai_folder import GENAI_CONFIG, absent_files, check_config
from olive_stage.hit import find_whole
from olive_stage.hub import HubOrigin
from olive_stage.model_config import embeddings
from olive_stage.model_folder import check_folder, read_tensors
from olive_stage.object_store import BucketOrigin
from olive_stage.resumable import forget
from olive_stage.room import Need
from olive_stage.rows import DATA_FILE, FILE_LIMIT, keep_rows, too_large
from olive_stage.template import Template
from olive_stage.tokenizer_file import check_tokenizer
from olive_stage.web import WebOrigin
from olive_stage.work import invalid

PENDING = "fetch"
"""Stands for the key in the name of the folder being written, while the key is not known."""


class Origin(Protocol):
    """A source that can be brought onto the volume.

    ``known`` is what tells later what was read: a commit, the tags of objects.
    """

    known: dict[str, object]

    def commit(self) -> str:
        """What names the content before it is read; empty if only reading tells."""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Write the source's files into ``out``."""


def fetch(
    params: FetchParams, store: Store, need: Need, elapsed: Callable[[], float]
) -> tuple[Artifact, bool]:
    """The artifact, and whether it was in the store already."""
    form = template.parse(params.template) if params.template else None
    found = source.parse(params.source, params.what)
    origin = open_origin(found, params, store, need)
    commit = origin.commit()
    if commit and (there := find_whole(store, content_key(params.what, commit))):
        forget(store, there.key)
        return there, True
    with store.building(PENDING) as out:
        files = origin.bring(out)
        about = {"source": str(found), **origin.known}
        metrics = {}
        if params.what == "data":
            metrics["rows"] = float(keep_data(out, files[0], params, str(found), form))
            files = describe(out)
        else:
            if params.allowPickle and pickles.convert(out, str(found)):
                files = describe(out)
            if params.what == "model":
                about |= check_model(out, str(found), params.trustRemoteCode)
            else:
                about |= check_adapter(out, str(found))
        key = content_key(params.what, commit or content_of(files))
        if there := find_whole(store, key):
            return there, True
        artifact = Artifact(
            key=key,
            kind="fetch",
            params={"what": params.what, "content": commit or content_of(files)},
            inputs={},
            files=files,
            versions={"huggingface_hub": version("huggingface_hub")} if commit else {},
            metrics=metrics,
            about=about,
            seconds=elapsed(),
            createdAt=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        store.commit(out, artifact)
    return artifact, False


def open_origin(found: source.Source, params: FetchParams, store: Store, need: Need) -> Origin:
    """The origin of this kind of source."""
    if isinstance(found, source.Hub):
        return HubOrigin(found, params, store, need)
    if isinstance(found, source.Claim):
        return ClaimOrigin(found, params, need)
    if isinstance(found, source.AzureML):
        from olive_stage.azure_ml.origin import AzureMLOrigin  # three seconds, and seldom needed

        return AzureMLOrigin(found, params, store, need)
    if isinstance(found, source.Bucket):
        return BucketOrigin(found, params, store, need)
    return WebOrigin(found, store, need)


def keep_data(out: Path, file: File, params: FetchParams, place: str, form: Template | None) -> int:
    """Check the one file that was brought and keep its rows as ``data.jsonl``; how many."""
    if params.sha256 and file.sha256 != params.sha256.lower():
        raise invalid(
            f"{place} has the SHA-256 {file.sha256}, not {params.sha256} as the job says: it was "
            "changed, or is another file"
        )
    if file.size > FILE_LIMIT:
        raise too_large(place, file.size)
    kept = out / f".{DATA_FILE}"
    count = keep_rows(out / file.path, kept, form)
    (out / file.path).unlink()
    kept.rename(out / DATA_FILE)
    return count


def check_model(out: Path, place: str, trusted: bool) -> dict[str, object]:
    """What readers want to know of the model that was brought; a StageFailure if it is not one."""
    if (out / GENAI_CONFIG).is_file() and not any(out.glob("*.safetensors")):
        if absent := absent_files(out):
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND,
                f"{place} is a model for onnxruntime-genai, but lacks {absent}",
            )
        check_config(out, place)
        check_tokenizer(out, place, None)
        return {"quantization": "onnx"}
    about = check_folder(out, place)
    table = embeddings(read_tensors(out, place))
    check_tokenizer(out, place, table.shape[0] if table else None)
    return about | check_code(out, place, trusted)
