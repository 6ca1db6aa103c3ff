"""fetch: a model, a data set or an adapter into the store, checked, named by its content.

The only stage with a network, and the only one whose key is found here: from the hub's commit, or
from the digest of what was read. What is in the store already is not fetched again; data is still
checked against the template, which is no part of its key.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from olive_contract.artifact import Artifact, File, describe
from olive_contract.keys import content_key
from olive_contract.params import FetchParams
from olive_contract.store import Store
from olive_stage import source, template
from olive_stage.adapter_folder import check_adapter
from olive_stage.claim import ClaimOrigin
from olive_stage.copying import content_of
from olive_stage.hit import find_whole
from olive_stage.hub import HubOrigin
from olive_stage.model_folder import check_folder
from olive_stage.rows import DATA_FILE, check_rows
from olive_stage.web import WebOrigin

PENDING = "fetch"
"""Stands for the key in the name of the folder being written, while the key is not known."""


class Origin(Protocol):
    """A source that can be brought onto the volume."""

    def commit(self) -> str:
        """What names the content before it is read; empty if only reading tells."""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Write the source's files into ``out``."""


def fetch(
    params: FetchParams, store: Store, need: Callable[[int], None], elapsed: Callable[[], float]
) -> tuple[Artifact, bool]:
    """The artifact, and whether it was in the store already."""
    form = template.parse(params.template) if params.template else None
    origin = open_origin(params, store, need)
    commit = origin.commit()
    if commit and (there := find_whole(store, content_key(params.what, commit))):
        return there, True
    with store.building(PENDING) as out:
        files = origin.bring(out)
        about: dict[str, object] = {"source": str(source.parse(params.source, params.what))}
        metrics = {}
        if params.what == "data":
            metrics["rows"] = float(normalise(out, files, form))
            files = describe(out)
        elif params.what == "model":
            about |= check_folder(out, params.source)
        else:
            about |= check_adapter(out, params.source)
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


def open_origin(params: FetchParams, store: Store, need: Callable[[int], None]) -> Origin:
    """The origin that the source's text names."""
    found = source.parse(params.source, params.what)
    if isinstance(found, source.Hub):
        return HubOrigin(found, params.what, store, need)
    if isinstance(found, source.Claim):
        return ClaimOrigin(found, params.what, need)
    return WebOrigin(found)


def normalise(out: Path, files: tuple[File, ...], form: template.Template | None) -> int:
    """Check the one file that was brought and keep its rows as ``data.jsonl``; how many."""
    path = out / files[0].path
    lines = path.read_bytes().split(b"\n")
    count = len(check_rows(lines, form))
    path.unlink()
    kept = b"".join(
        line.strip().removeprefix(b"\xef\xbb\xbf") + b"\n" for line in lines if line.strip()
    )
    (out / DATA_FILE).write_bytes(kept)
    return count
