"""Sources on a Hugging Face hub (HF_ENDPOINT, HF_TOKEN): a commit is resolved, then its files read.

Downloads go to a folder on the volume that is named by the commit, where a later attempt goes on,
and are compared with the hub's own SHA-256 before they are used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from olive_contract.artifact import File, sha256_of
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import content_key
from olive_contract.params import FetchParams
from olive_contract.store import Store
from olive_stage.copying import Meter, bytes_in, move
from olive_stage.hub_refusals import SENSELESS, failed, garbled, status_of
from olive_stage.parallel import each
from olive_stage.resumable import resumable
from olive_stage.room import Need, make_room
from olive_stage.rows import FILE_LIMIT, too_large
from olive_stage.source import Hub
from olive_stage.wanted import variant, wanted
from olive_stage.words import some
from olive_stage.work import invalid

MOST_OF_A_LICENSE = 100
"""Characters of its name."""


class HubOrigin:
    """A repository at the commit that its revision means now."""

    def __init__(self, source: Hub, params: FetchParams, store: Store, need: Need) -> None:
        self.source, self.params, self.store, self.need = source, params, store, need
        self.kind = "dataset" if source.dataset else "model"
        self.info: Any = None
        self.known: dict[str, object] = {}
        self.listed: dict[str, Any] = {}

    def commit(self) -> str:
        """The commit that names a model or an adapter; empty for data, which its content names."""
        with said_in_words(self.source):
            self.info = HfApi().repo_info(
                self.source.repo,
                revision=self.source.revision,
                repo_type=self.kind,
                files_metadata=True,
            )
        if not isinstance(self.info.sha, str) or self.info.siblings is None:
            raise garbled(self.source)
        self.known = {"commit": self.info.sha, **_license(self.info)}
        files = {file.rfilename: file for file in self.info.siblings}
        self.listed = {name: files[name] for name in self.choose(sorted(files))}
        return "" if self.params.what == "data" else f"{self.info.sha}{variant(self.listed)}"

    def bring(self, out: Path) -> tuple[File, ...]:
        """Download the wanted files of the commit, several at once."""
        key = content_key(self.params.what, f"{self.info.sha}{variant(self.listed)}")
        with resumable(self.store, key, out) as scratch:
            found = self.download(scratch)
            for file in found:  # together, so that another attempt finds what this one brought
                move(scratch / file.path, out, file.path)
        return found

    def download(self, scratch: Path) -> tuple[File, ...]:
        """The wanted files in ``scratch``, compared with what the hub lists."""
        total = sum(file.size or 0 for file in self.listed.values())
        if self.params.what == "data" and total > FILE_LIMIT:
            raise too_large(str(self.source), total)
        make_room(scratch, self.need, total, bytes_in(scratch))
        meter = Meter(total)

        def bring_one(name: str) -> File:
            with said_in_words(self.source):
                path = hf_hub_download(
                    self.source.repo,
                    name,
                    repo_type=self.kind,
                    revision=self.info.sha,
                    local_dir=scratch,
                )
            file = File(name, Path(path).stat().st_size, sha256_of(Path(path)))
            self.compare(file, self.listed[name], Path(path))
            return file

        return tuple(each(list(self.listed), bring_one, lambda: meter.reach(bytes_in(scratch))))

    def choose(self, names: list[str]) -> list[str]:
        """The repository's files that are worth having."""
        if self.params.what != "data":
            return wanted(names, self.params, str(self.source))
        if self.source.file not in names:
            raise StageFailure(
                FailureClass.SOURCE_NOT_FOUND,
                f"{self.source} has no file {self.source.file}; it has {some(names, 'none')}",
            )
        return [self.source.file]

    def compare(self, file: File, listed: Any, path: Path) -> None:
        """StageError, and the file gone, if it is not what the hub lists."""
        expected = listed.lfs.sha256 if listed.lfs else None
        if (expected and file.sha256 != expected) or (listed.size or file.size) != file.size:
            path.unlink()
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"{file.path} of {self.source} arrived damaged; the next attempt reads it again",
            )


def _license(info: Any) -> dict[str, object]:
    """The license that the repository's card names, for whoever publishes what is made of it."""
    named = getattr(info.card_data, "license", None) if info.card_data else None
    return {"license": named} if isinstance(named, str) and len(named) <= MOST_OF_A_LICENSE else {}


@contextmanager
def said_in_words(source: Hub) -> Iterator[None]:
    """The hub's refusals as failures that say what to do."""
    try:
        yield
    except GatedRepoError as error:
        raise StageFailure(
            FailureClass.AUTH_DENIED,
            f"{source} is gated: accept its terms on the hub with the account whose token "
            "secretRef names",
        ) from error
    except RevisionNotFoundError as error:
        raise StageFailure(
            FailureClass.SOURCE_NOT_FOUND,
            f"{source.repo} is there, but has no revision {source.revision!r}",
        ) from error
    except HFValidationError as error:
        raise invalid(f"{source} is no name that a repository can have") from error
    except (RepositoryNotFoundError, EntryNotFoundError, httpx.HTTPError) as error:
        raise _of_status(source, error) from error
    except SENSELESS as error:
        raise garbled(source) from error


def _of_status(source: Hub, error: Exception) -> StageFailure:
    status = status_of(error)
    if status in (401, 403):
        return StageFailure(
            FailureClass.AUTH_DENIED,
            f"the hub answered {status} for {source}: it does not exist, or the token may not "
            "read it; check the name, and give secretRef a Secret whose token has read access",
        )
    unreached = isinstance(
        error, LocalEntryNotFoundError
    )  # no connection, no cache to fall back on
    if status == 404 or (isinstance(error, EntryNotFoundError) and not unreached):
        return StageFailure(FailureClass.SOURCE_NOT_FOUND, f"{source} is not on the hub")
    return failed(source, error)
