"""The files of a container, as far as a fetch asks for them: what there is, and into a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError

from olive_stage.azure_ml.storage import Storage

MARKS: Final = frozenset({"config.json", "genai_config.json", "adapter_config.json"})
"""What the folder of a model, or of an adapter, has."""
PIECE: Final = 4 << 20
"""Bytes that the service still checks by MD5 when they are read at once."""


class BlobFiles:
    """What is below a path. The names are those of the container, as ``container/path``."""

    def __init__(self, storage: Storage, whole_folder: bool) -> None:
        """``whole_folder``: it is a version, whose model may be in a folder of its own."""
        self._client, self._container = storage.client, storage.container
        self._whole_folder = whole_folder

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        """The files of the folder, of a version those of the folder that holds the model; as
        fsspec has it, a file's own."""
        prefix = self._name(path)
        found = [b for b in self._client.list_blobs(name_starts_with=prefix) if _below(b, prefix)]
        folder = _folder(found) if self._whole_folder else prefix
        return [
            _entry(self._container, blob)
            for blob in found
            if blob.name == prefix or blob.name.rpartition("/")[0] == folder
        ]

    def info(self, path: str) -> dict[str, Any]:
        """Of one file, or of a folder; FileNotFoundError if there is neither."""
        try:
            found = self._client.get_blob_client(self._name(path)).get_blob_properties()
        except ResourceNotFoundError:
            if any(self._client.list_blobs(name_starts_with=f"{self._name(path)}/")):
                return {"name": path, "type": "directory"}
            raise FileNotFoundError(path) from None
        return _entry(self._container, found)

    def get_file(self, path: str, local: str) -> None:
        """The file's content at ``local``, where an earlier attempt may have left its beginning."""
        blob = self._client.get_blob_client(self._name(path))
        found = blob.get_blob_properties()
        with Path(local).open("ab") as file:
            for offset in range(file.tell(), found.size, PIECE):
                piece = blob.download_blob(
                    offset=offset,
                    length=min(PIECE, found.size - offset),
                    etag=found.etag,
                    match_condition=MatchConditions.IfNotModified,
                    validate_content=True,
                )
                file.write(piece.readall())

    def _name(self, path: str) -> str:
        return path.partition("/")[2]


def _below(blob: Any, prefix: str) -> bool:
    return bool(blob.name == prefix or blob.name.startswith(f"{prefix}/"))


def _folder(blobs: list[Any]) -> str:
    """The one nearest to the top that looks like a model's; the top itself if none does."""
    folders = [parts[0] for parts in _parts(blobs) if parts[1] in MARKS]
    everywhere = [folder for folder, _ in _parts(blobs)]
    return min(folders or everywhere, key=lambda f: (f.count("/"), f), default="")


def _parts(blobs: list[Any]) -> Iterator[tuple[str, str]]:
    for blob in blobs:
        folder, _, name = blob.name.rpartition("/")
        yield folder, name


def _entry(container: str, blob: Any) -> dict[str, Any]:
    return {
        "name": f"{container}/{blob.name}",
        "type": "file",
        "size": blob.size,
        "etag": blob.etag,
    }
