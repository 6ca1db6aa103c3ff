"""publish to a hub, against a stand-in that refuses and fails as the real one does."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import get_session
from publications import FILES, contents, version
from standin_hub import TOKEN
from writable_hub import Refusal, Repository, WritableHub, serving

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import HuggingFace
from olive_contract.stage import Progress, Published
from olive_stage import copying
from olive_stage.publish.hub import LOOKS, HubRepository
from olive_stage.publish.hub_files import NOTE_FILE, OTHER_CARD
from olive_stage.publish.version import Version

NAME = "team/phi"
WEIGHTS = hashlib.sha256(FILES["model.onnx.data"]).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableHub]:
    """An empty hub, and the environment of a stage that may write to it."""
    with serving(WritableHub()) as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        yield hub


@pytest.fixture
def travel(tmp_path: Path) -> Version:
    return version(tmp_path / "travel", "travel")


@pytest.fixture
def both(tmp_path: Path) -> Version:
    return version(tmp_path / "both", "food", "travel")


def publish(
    version: Version, repository: str = NAME, private: bool = True, branch: str = "main"
) -> Published:
    return HubRepository(HuggingFace(repository, private, branch)).publish(version)


def refused(version: Version, repository: str = NAME, branch: str = "main") -> StageFailure:
    with pytest.raises(StageFailure) as caught:
        publish(version, repository, branch=branch)
    return caught.value


def published_files(repository: Repository, branch: str = "main") -> dict[str, bytes]:
    """The files of the branch but for those that say what is what."""
    beside = (NOTE_FILE, ".gitattributes")
    return {path: body for path, body in repository.files(branch).items() if path not in beside}


@pytest.mark.parametrize("private", [True, False], ids=["private", "public"])
def test_the_repository_is_made_and_has_the_version_in_one_commit(
    hub: WritableHub, travel: Version, private: bool
) -> None:
    published = publish(travel, private=private)
    repository = hub.repositories[NAME]
    assert published_files(repository) == contents(travel)
    assert repository.private is private
    assert len(repository.commits) == 2  # the hub's own, and the version
    head = repository.branches["main"]
    assert published == Published(f"hf://{NAME}@{head}", f"{hub.address}/{NAME}/tree/{head}")
    note = json.loads(repository.files()[NOTE_FILE])
    assert (note["content"], note["job"]) == (travel.content, "ml/travel")
    assert note["files"] == {entry.path: entry.sha256 for entry in travel.files}


def test_a_content_that_is_there_is_not_committed_again(
    hub: WritableHub, travel: Version, tmp_path: Path
) -> None:
    first = publish(travel)
    hub.asked.clear()
    told_otherwise = version(tmp_path / "again", "travel", card="# measured again\n")
    assert publish(told_otherwise) == first
    assert not [line for line in hub.asked if not line.startswith(("GET", "HEAD"))]


def test_a_file_that_somebody_has_changed_is_put_right(hub: WritableHub, travel: Version) -> None:
    publish(travel)
    repository = hub.repositories[NAME]
    repository.commit("main", {**repository.files(), "model.onnx.data": b"z" * 5000})
    publish(travel)
    assert published_files(repository) == contents(travel)


def test_an_export_that_was_made_again_and_came_out_otherwise_is_committed(
    hub: WritableHub, travel: Version, tmp_path: Path
) -> None:
    publish(travel)
    made_again = version(tmp_path / "again", "travel", files={**FILES, "genai_config.json": b"[]"})
    assert made_again.content == travel.content
    publish(made_again)
    assert published_files(hub.repositories[NAME]) == contents(made_again)


def test_a_version_replaces_the_one_before_and_leaves_what_is_not_ours(
    hub: WritableHub, travel: Version, both: Version
) -> None:
    publish(both)
    repository = hub.repositories[NAME]
    repository.commit("main", {**repository.files(), "notes.txt": b"mine"})
    publish(travel)
    assert published_files(repository) == {**contents(travel), "notes.txt": b"mine"}
    assert repository.files()[".gitattributes"]
    assert hub.uploaded().count(WEIGHTS) == 1


def test_somebodys_own_readme_is_not_overwritten(
    hub: WritableHub, travel: Version, both: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = hub.made(NAME, {"README.md": b"mine"})
    for each in (travel, both):
        publish(each)
        files = dict(contents(each))
        assert published_files(repository) == {
            **files,
            OTHER_CARD: files["README.md"],
            "README.md": b"mine",
        }
        assert f"goes to {OTHER_CARD}" in capsys.readouterr().out


def test_the_card_of_an_earlier_version_is_ours(
    hub: WritableHub, travel: Version, tmp_path: Path
) -> None:
    publish(travel)
    publish(version(tmp_path / "later", "food", card="# another\n"))
    assert published_files(hub.repositories[NAME])["README.md"] == b"# another\n"


def test_a_branch_is_made_if_it_is_not_there(hub: WritableHub, travel: Version) -> None:
    repository = hub.made(NAME, {"notes.txt": b"mine"})
    publish(travel, branch="team/next")
    assert published_files(repository, "team/next") == {
        **contents(travel),
        "notes.txt": b"mine",
    }
    assert published_files(repository) == {"notes.txt": b"mine"}


def test_what_an_attempt_has_brought_is_not_sent_again(hub: WritableHub, travel: Version) -> None:
    hub.refusals.append(Refusal(r"POST .*/commit/", 500))
    assert refused(travel).failure is FailureClass.STAGE_ERROR
    assert hub.uploaded() == [WEIGHTS]
    publish(travel)
    assert hub.uploaded() == [WEIGHTS]
    assert published_files(hub.repositories[NAME]) == contents(travel)


def test_a_transfer_that_was_cut_is_tried_again_and_its_address_is_not_logged(
    hub: WritableHub, travel: Version, caplog: pytest.LogCaptureFixture
) -> None:
    library = logging.getLogger("huggingface_hub")  # which hands nothing on to the root
    library.addHandler(caplog.handler)
    hub.refusals.append(Refusal(r"PUT /storage/", 0))
    publish(travel)
    library.removeHandler(caplog.handler)
    assert hub.uploaded() == [WEIGHTS, WEIGHTS]
    assert "secret" not in caplog.text


def test_of_two_publishers_the_later_finds_what_the_earlier_has_made(
    hub: WritableHub, travel: Version
) -> None:
    hub.after_look = [lambda: publish(travel)]
    published = publish(travel)
    repository = hub.repositories[NAME]
    assert published.reference == f"hf://{NAME}@{repository.branches['main']}"
    assert len(repository.commits) == 2


def test_a_commit_of_somebody_else_in_between_is_not_lost(
    hub: WritableHub, travel: Version
) -> None:
    repository = hub.made(NAME, {})
    hub.after_look = [lambda: repository.commit("main", {"notes.txt": b"mine"})]
    publish(travel)
    assert published_files(repository) == {**contents(travel), "notes.txt": b"mine"}


def test_a_branch_that_never_rests_is_left_to_a_later_attempt(
    hub: WritableHub, travel: Version
) -> None:
    repository = hub.made(NAME, {})
    hub.after_look = [lambda: repository.commit("main", {"notes.txt": b"mine"})] * LOOKS
    told = refused(travel)
    assert (told.failure, "others commit" in str(told)) == (FailureClass.STAGE_ERROR, True)
    assert hub.commits() == LOOKS


def test_a_commit_whose_answer_was_lost_is_found(hub: WritableHub, travel: Version) -> None:
    hub.answers_lost = 1
    published = publish(travel)
    assert published.reference.endswith(hub.repositories[NAME].branches["main"])
    assert hub.commits() == 1


def test_what_the_hub_has_kept_otherwise_is_told_of(hub: WritableHub, travel: Version) -> None:
    hub.damages = True
    told = refused(travel)
    assert (told.failure, "model.onnx.data" in str(told)) == (FailureClass.STAGE_ERROR, True)


def test_a_file_that_the_hub_leaves_out_is_told_of(hub: WritableHub, travel: Version) -> None:
    hub.ignored = "genai_config.json"
    told = refused(travel)
    assert "genai_config.json; does a .gitignore" in str(told)


def test_progress_is_told_by_bytes(
    hub: WritableHub,
    travel: Version,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(copying, "EVERY_SECONDS", 0)
    publish(travel)
    lines = map(Progress.from_line, capsys.readouterr().out.splitlines())
    percents = [line.percent for line in lines if line]
    assert percents == sorted(percents)
    assert percents[0] < 50 < percents[-1]


def test_no_token_is_no_right_to_write(
    hub: WritableHub, travel: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    told = refused(travel)
    assert (told.failure, f"write access to {NAME}" in str(told)) == (
        FailureClass.AUTH_DENIED,
        True,
    )


@pytest.mark.parametrize("there", [True, False], ids=["somebody's repository", "no repository"])
def test_a_token_without_rights_for_the_owner(
    hub: WritableHub, travel: Version, there: bool
) -> None:
    if there:
        hub.made("others/phi", {})
    told = refused(travel, "others/phi")
    assert (told.failure, "write access to others/phi" in str(told)) == (
        FailureClass.AUTH_DENIED,
        True,
    )


def test_a_repository_that_the_token_may_not_see(hub: WritableHub, travel: Version) -> None:
    hidden = {"X-Error-Code": "RepoNotFound"}
    hub.made(NAME, {})
    hub.refusals.append(Refusal(r"GET .*/revision/|POST .*/branch/", 404, hidden, times=9))
    assert refused(travel).failure is FailureClass.AUTH_DENIED


@pytest.mark.parametrize(
    ("refusal", "failure", "says"),
    [
        pytest.param(
            Refusal(r"PUT /storage/", 403),
            FailureClass.STAGE_ERROR,
            "storage refused",
            id="an address that has run out",
        ),
        pytest.param(
            Refusal(r"POST .*/commit/", 429),
            FailureClass.STAGE_ERROR,
            "throttles (429)",
            id="throttled",
        ),
        pytest.param(
            Refusal(r"POST .*/repos/create", 400),
            FailureClass.INVALID_INPUT,
            "check the names",
            id="a name that it does not take",
        ),
        pytest.param(
            Refusal(r"POST /api/validate-yaml", 400, body=b'{"errors": [{"message": "license"}]}'),
            FailureClass.INVALID_INPUT,
            "front matter: - license",
            id="a card that it does not take",
        ),
        pytest.param(
            Refusal(r"GET .*/revision/", 200, body=b"[]"),
            FailureClass.STAGE_ERROR,
            "is no hub",
            id="no hub",
        ),
        pytest.param(
            Refusal(r"GET .*/revision/", 200, body=b"[" * 100_000),
            FailureClass.STAGE_ERROR,
            "is no hub",
            id="no hub at all",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    hub: WritableHub, travel: Version, refusal: Refusal, failure: FailureClass, says: str
) -> None:
    hub.refusals.append(refusal)
    told = refused(travel)
    assert (told.failure, says in str(told)) == (failure, True), told
    assert "secret-of" not in str(told)


def test_no_request_waits_for_ever() -> None:
    waits = get_session().timeout
    assert None not in (waits.connect, waits.read, waits.write, waits.pool)


def test_a_hub_that_is_not_there_is_worth_another_attempt(
    hub: WritableHub, travel: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    told = refused(travel)
    assert (told.failure, "unreachable" in str(told)) == (FailureClass.STAGE_ERROR, True)


@pytest.mark.parametrize("name", ["a/b/c", "team/--phi", ""])
def test_a_name_that_no_repository_can_have(hub: WritableHub, travel: Version, name: str) -> None:
    assert refused(travel, name).failure is FailureClass.INVALID_INPUT
    assert not hub.asked
