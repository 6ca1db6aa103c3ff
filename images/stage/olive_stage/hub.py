"""Sources on a Hugging Face hub (HF_ENDPOINT, HF_TOKEN): a commit is resolved, then its files read.

Downloads go to the volume's scratch folder under the commit's key, so that a later attempt goes on
where this one stopped, and are compared with the hub's own SHA-256 before they are used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from olive_contract.artifact import File, sha256_of
from olive_contract.failures import FailureClass, StageFailure
from olive_contract.keys import content_key
from olive_contract.store import Store
from olive_stage import adapter_folder, model_folder
from olive_stage.console import progress
from olive_stage.copying import move
from olive_stage.source import Hub


class HubOrigin:
    """A repository at the commit that its revision means now."""

    def __init__(self, source: Hub, what: str, store: Store, need: Callable[[int], None]) -> None:
        self.source, self.what, self.store, self.need = source, what, store, need
        self.kind = "dataset" if source.dataset else "model"
        self.info: Any = None

    def commit(self) -> str:
        """The commit that names a model or an adapter; empty for data, which its content names."""
        with said_in_words(self.source):
            self.info = HfApi().repo_info(
                self.source.repo,
                revision=self.source.revision,
                repo_type=self.kind,
                files_metadata=True,
            )
        return "" if self.what == "data" else str(self.info.sha)

    def bring(self, out: Path) -> tuple[File, ...]:
        """Download the wanted files of the commit."""
        listed = {file.rfilename: file for file in self.info.siblings}
        names = self.choose(sorted(listed))
        total = sum(listed[name].size or 0 for name in names)
        self.need(total)
        scratch = self.store.scratch(content_key(self.what, self.info.sha))
        found, done = [], 0
        for name in names:
            progress(99 * done / max(total, 1), message=name)
            with said_in_words(self.source):
                path = Path(
                    hf_hub_download(
                        self.source.repo,
                        name,
                        repo_type=self.kind,
                        revision=self.info.sha,
                        local_dir=scratch,
                    )
                )
            file = File(name, path.stat().st_size, sha256_of(path))
            self.compare(file, listed[name], path)
            move(path, out, name)
            found.append(file)
            done += file.size
        return tuple(found)

    def choose(self, names: list[str]) -> list[str]:
        """The repository's files that are worth having."""
        if self.what == "data":
            if self.source.file not in names:
                raise StageFailure(
                    FailureClass.SOURCE_NOT_FOUND,
                    f"{self.source} has no file {self.source.file}; "
                    f"it has {', '.join(names[:8]) or 'none'}",
                )
            return [self.source.file]
        if self.what == "adapter":
            adapter_folder.check_names(names, str(self.source))
            return list(adapter_folder.KEPT)
        model_folder.check_names(names, str(self.source))
        return model_folder.kept(names)

    def compare(self, file: File, listed: Any, path: Path) -> None:
        """StageError, and the file gone, if it is not what the hub lists."""
        expected = listed.lfs.sha256 if listed.lfs else None
        if (expected and file.sha256 != expected) or (listed.size or file.size) != file.size:
            path.unlink()
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"{file.path} of {self.source} arrived damaged; the next attempt reads it again",
            )


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
    except (RepositoryNotFoundError, EntryNotFoundError, HfHubHTTPError) as error:
        raise _of_status(source, error) from error


def _of_status(source: Hub, error: Exception) -> StageFailure:
    answer = getattr(error, "response", None)
    status = answer.status_code if answer is not None else 0
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
    return StageFailure(FailureClass.STAGE_ERROR, f"the hub failed for {source}: {error}")
