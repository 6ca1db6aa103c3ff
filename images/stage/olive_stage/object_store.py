"""Sources that are objects: in an S3 bucket (or what speaks its protocol), or at Azure."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olive_contract.artifact import File, sha256_of
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import content_key, digest
from olive_contract.params import FetchParams
from olive_contract.store import Store
from olive_stage.bucket_access import file_system, said_in_words
from olive_stage.copying import Meter, bytes_in, move
from olive_stage.parallel import each
from olive_stage.resumable import resumable
from olive_stage.room import Need, make_room
from olive_stage.rows import FILE_LIMIT, too_large
from olive_stage.source import AzureML, Bucket
from olive_stage.wanted import wanted
from olive_stage.work import invalid


@dataclass(frozen=True)
class Object:
    """One object: its whole path, bytes, and the tag that changes with its content."""

    path: str
    size: int
    tag: str


class ObjectOrigin(ABC):
    """What is at a path of a store of objects."""

    def __init__(
        self, source: Bucket | AzureML, params: FetchParams, store: Store, need: Need
    ) -> None:
        self.source, self.params, self.store, self.need = source, params, store, need
        self.known: dict[str, object] = {}

    @abstractmethod
    def commit(self) -> str:
        """What names the content before it is read; empty if only reading tells."""

    @abstractmethod
    def open(self) -> tuple[Any, str]:
        """The store's files, by fsspec's ls, info and get_file, and the source's path in it."""

    @abstractmethod
    def said_in_words(self) -> AbstractContextManager[None]:
        """The store's refusals as failures that say what to do."""

    def bring(self, out: Path) -> tuple[File, ...]:
        """Download what is wanted of the folder, or the one object; several at once."""
        with self.said_in_words():
            files, path = self.open()
            objects = self.choose(files, path)
        self.known |= {"etags": {name: o.tag for name, o in objects.items()}}
        tags = sorted((o.path, o.size, o.tag) for o in objects.values())
        key = content_key(self.params.what, digest(tags))
        with resumable(self.store, key, out) as scratch:
            found = self.download(files, objects, scratch)
            for file in found:  # together, so that another attempt finds what this one brought
                move(scratch / file.path, out, file.path)
        with self.said_in_words():
            later = self.choose(files, path)
        if changed := sorted(name for name in objects if later.get(name) != objects[name]):
            raise self.changed(changed[0])
        return found

    def download(self, files: Any, objects: dict[str, Object], scratch: Path) -> tuple[File, ...]:
        """The objects in ``scratch``, but those that are there already."""
        total = sum(o.size for o in objects.values())
        if self.params.what == "data" and total > FILE_LIMIT:
            raise too_large(str(self.source), total)
        make_room(scratch, self.need, total, bytes_in(scratch))
        meter = Meter(total)

        def bring_one(name: str) -> File:
            whole, part = scratch / name, scratch / f"{name}.part"
            if not whole.exists():
                with self.said_in_words():
                    files.get_file(objects[name].path, str(part))
                if part.stat().st_size != objects[name].size:
                    raise self.changed(name)
                part.rename(whole)
            return File(name, whole.stat().st_size, sha256_of(whole))

        return tuple(each(list(objects), bring_one, lambda: meter.reach(bytes_in(scratch))))

    def choose(self, files: Any, path: str) -> dict[str, Object]:
        """The objects that are worth having, by their names."""
        if self.params.what == "data":
            entry = files.info(path)
            if entry["type"] != "file":
                raise invalid(f"{self.source} is a folder; name the JSON Lines file in it")
            return {path.rsplit("/", 1)[1]: _object(entry)}
        listed = {
            entry["name"].rsplit("/", 1)[1]: _object(entry)
            for entry in files.ls(path, detail=True)
            if entry["type"] == "file"
        }
        if not listed:
            raise FileNotFoundError
        if [o.path for o in listed.values()] == [path]:
            raise invalid(
                f"{self.source} is a file; name the folder that holds the {self.params.what}"
            )
        return {name: listed[name] for name in wanted(listed, self.params, str(self.source))}

    def changed(self, name: str) -> StageFailure:
        return StageFailure(
            FailureClass.STAGE_ERROR,
            f"{name} of {self.source} was changed while it was read; the next attempt reads it "
            "again",
        )


class BucketOrigin(ObjectOrigin):
    """What is at a path of a bucket or container."""

    def __init__(self, source: Bucket, params: FetchParams, store: Store, need: Need) -> None:
        super().__init__(source, params, store, need)
        self._bucket = source

    def commit(self) -> str:
        """Empty: only reading tells what the objects hold."""
        return ""

    def open(self) -> tuple[Any, str]:
        bucket = self._bucket
        return file_system(bucket.scheme), f"{bucket.bucket}/{bucket.path}"

    def said_in_words(self) -> AbstractContextManager[None]:
        return said_in_words(self._bucket)


def _object(entry: dict[str, Any]) -> Object:
    tag = entry.get("ETag") or entry.get("etag") or entry.get("last_modified") or ""
    return Object(entry["name"], int(entry["size"] or 0), str(tag).strip('"'))
