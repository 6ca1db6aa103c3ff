"""publish to a Hugging Face hub (HF_ENDPOINT, HF_TOKEN): one commit that has the whole version.

Large files go to the hub's storage first, where it knows them by their SHA-256: what an attempt
that was cut off has brought is not sent again. The commit says which one it follows, so that of two
publishers the later one looks again, and finds what the earlier one made.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import HuggingFace
from olive_contract.stage import Published
from olive_stage.console import say
from olive_stage.copying import Meter
from olive_stage.hub_refusals import garbled, status_of
from olive_stage.publish.card import CARD_FILE
from olive_stage.publish.hub_files import (
    NOTE_FILE,
    NOTE_LIMIT,
    OTHER_CARD,
    Addition,
    Head,
    Note,
    is_as,
)
from olive_stage.publish.hub_writing import writing_to
from olive_stage.publish.version import Entry, Version
from olive_stage.words import some

LOOKS = 5
"""At the branch, before others are said to be too busy there."""
CONFLICTS = (409, 412)


class HubRepository:
    """A branch of a model repository, which is made if it is not there."""

    def __init__(self, target: HuggingFace) -> None:
        self.target, self.name = target, target.repository
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)

    def publish(self, version: Version) -> Published:
        """The commit that has this content: the branch's head, or one that is added to it."""
        constants.HF_HUB_DISABLE_XET = True  # the hub knows whole files by the SHA-256 that we have
        with writing_to(self.name, self.api.endpoint):
            for _ in range(LOOKS):
                head = self._head()
                if head.has(version):
                    say(f"{self.name} has this content at {head.commit}")
                    return self._published(head.commit)
                if commit := self._add(version, head):
                    return self._published(commit)
                say(f"{self.name} may have another commit by now; looking again")
        raise StageFailure(
            FailureClass.STAGE_ERROR,
            f"others commit to {self.target.branch} of {self.name} all the time; try again later",
        )

    def _published(self, commit: str) -> Published:
        page = f"{self.api.endpoint}/{self.name}/tree/{commit}"
        return Published(f"hf://{self.name}@{commit}", page)

    def _head(self) -> Head:
        """The branch as it is now, which is made first where there is none."""
        branch = self.target.branch
        try:
            return self._at(branch)
        except RepositoryNotFoundError:
            self.api.create_repo(self.name, private=self.target.private, exist_ok=True)
            say(f"made the repository {self.name}")
        except RevisionNotFoundError:
            say(f"making the branch {branch}")
        self.api.create_branch(self.name, branch=branch, exist_ok=True)
        return self._at(branch)

    def _at(self, revision: str) -> Head:
        info = self.api.model_info(self.name, revision=revision, files_metadata=True)
        if not isinstance(info.sha, str) or info.siblings is None:
            raise garbled(self.name)
        listed = {file.rfilename: file for file in info.siblings}
        note = listed.get(NOTE_FILE)
        if note is None or (note.size or 0) > NOTE_LIMIT:
            return Head(info.sha, listed)
        return Head(info.sha, listed, self._note(info.sha))

    def _note(self, commit: str) -> Note:
        with tempfile.TemporaryDirectory() as folder:
            path = self.api.hf_hub_download(self.name, NOTE_FILE, revision=commit, local_dir=folder)
            return Note.from_bytes(Path(path).read_bytes())

    def _add(self, version: Version, head: Head) -> str:
        """The commit after ``head`` with the version; empty if the branch has another head."""
        entries = head.named(version)
        if any(entry.path == OTHER_CARD for entry in entries):
            say(f"{CARD_FILE} of {self.name} is somebody else's: the card goes to {OTHER_CARD}")
        note = Note(
            version.content, version.origin.job, {entry.path: entry.sha256 for entry in entries}
        )
        additions = self._brought(entries)
        gone = (note_path for note_path in head.note.files if note_path not in note.files)
        deletions = [CommitOperationDelete(path) for path in gone if path in head.listed]
        own = CommitOperationAdd(NOTE_FILE, note.to_bytes())
        try:
            commit = self.api.create_commit(
                self.name,
                [*additions, *deletions, own],
                commit_message=f"Publish {version.content[:12]} of {version.origin.job}",
                revision=self.target.branch,
                parent_commit=head.commit,
            )
        except httpx.TransportError:  # nobody knows whether it was made
            return ""
        except httpx.HTTPError as error:
            if status_of(error) in CONFLICTS:
                return ""
            raise
        self._verify(commit.oid, entries)
        return commit.oid

    def _brought(self, entries: Sequence[Entry]) -> list[Addition]:
        """The files, those that are large in the hub's storage; one after the other, as this
        thread can be stopped."""
        meter, before, additions = Meter(sum(entry.size for entry in entries)), 0, []
        for entry in entries:
            additions.append(Addition(entry, meter, before))
            before += entry.size
        for addition in additions:
            self.api.preupload_lfs_files(
                self.name, [addition], revision=self.target.branch, free_memory=False
            )
        return additions

    def _verify(self, commit: str, entries: Sequence[Entry]) -> None:
        """StageError if the commit lacks a file, or has another than was sent."""
        listed = self._at(commit).listed
        if wrong := [entry.path for entry in entries if not is_as(entry, listed)]:
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"commit {commit} of {self.name} does not have as they were sent: {some(wrong)}; "
                "does a .gitignore there name them?",
            )
