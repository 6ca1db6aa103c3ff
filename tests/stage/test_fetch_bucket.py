"""fetch from S3 and from Azure Blob Storage: real servers on localhost that check who asks."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest
from buckets import Shop, azure, check_who_asks, s3
from lab import Lab
from source_files import ADAPTER, MODEL, ROWS, config

from olive_contract.failures import FailureClass
from olive_contract.stage import Report
from olive_stage import object_store
from olive_stage.bucket_access import said_in_words
from olive_stage.source import Bucket

SECRETS = ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING")
WRONG = {
    "s3": {"AWS_SECRET_ACCESS_KEY": "wrong-and-secret"},
    "az": {
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=devstoreaccount1;"
        "AccountKey=d3JvbmctYW5kLXNlY3JldA==;BlobEndpoint={endpoint};"
    },
}
UNUSABLE = {
    "s3": {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "wrong-and-secret"},
    "az": {"AZURE_STORAGE_CONNECTION_STRING": "wrong-and-secret"},
}


@pytest.fixture(scope="module", params=["s3", "az"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    opened = s3() if request.param == "s3" else azure(tmp_path_factory.mktemp("azurite"))
    with opened as shop:
        files = {f"models/tiny/{name}": body for name, body in MODEL.items()}
        files |= {f"models/tiny/{name}": b"import os" for name in ("own.py", "deep/own.py")}
        files |= {f"loras/travel/{name}": body for name, body in ADAPTER.items()}
        files |= {"rows/travel.jsonl": ROWS, "models/half/config.json": config()}
        shop.put("team", files)
        yield shop


@pytest.fixture
def given(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The credentials are in the environment, as of a pod whose job has a secretRef."""
    for name, value in {**shop.environment, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    return shop


def fetch(lab: Lab, shop: Shop, what: str, path: str, **params: Any) -> Report:
    return lab.run("fetch", {"what": what, "source": f"{shop.scheme}://{path}", **params})


def test_a_model_is_brought_without_what_is_not_wanted(lab: Lab, given: Shop) -> None:
    report = fetch(lab, given, "model", "team/models/tiny")
    assert report.outcome == "Succeeded", report
    folder = lab.store.path(report.key)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name in MODEL} == MODEL
    assert not list(folder.rglob("*.py"))
    tags = lab.artifact(report.key).about["etags"]
    assert set(tags) == set(MODEL)
    assert all(tags.values())
    assert not list((lab.store.root / ".scratch").iterdir())


def test_the_same_content_is_the_same_artifact_wherever_it_lies(lab: Lab, given: Shop) -> None:
    report = fetch(lab, given, "model", "team/models/tiny/")
    for name, body in MODEL.items():
        lab.claim(f"copy/{name}", body)
    again = lab.run("fetch", {"what": "model", "source": "pvc://team/copy"})
    assert (again.key, again.cached) == (report.key, True)


def test_an_adapter_and_a_data_set(lab: Lab, given: Shop) -> None:
    assert fetch(lab, given, "adapter", "team/loras/travel").outcome == "Succeeded"
    assert fetch(lab, given, "data", "team/rows/travel.jsonl").metrics == {"rows": 2}


@pytest.mark.parametrize(
    ("what", "path", "failure", "says"),
    [
        ("model", "nowhere/models", FailureClass.SOURCE_NOT_FOUND, "neither is"),
        ("model", "team/models/huge", FailureClass.SOURCE_NOT_FOUND, "beside it: half, tiny"),
        ("data", "team/rows/food.jsonl", FailureClass.SOURCE_NOT_FOUND, "beside it: travel.jsonl"),
        ("model", "team/models/half", FailureClass.SOURCE_NOT_FOUND, "found there: config.json"),
        ("model", "team/rows/travel.jsonl", FailureClass.INVALID_INPUT, "is a file; name the"),
        ("data", "team/rows", FailureClass.INVALID_INPUT, "is a folder; name the JSON Lines"),
    ],
)
def test_a_refusal_says_what_to_do(
    lab: Lab, given: Shop, what: str, path: str, failure: FailureClass, says: str
) -> None:
    report = fetch(lab, given, what, path)
    assert report.reason is failure, report
    assert says in report.message
    assert not lab.leftovers()


@pytest.mark.parametrize("changes", [WRONG, UNUSABLE], ids=["wrong", "unusable"])
def test_wrong_credentials_are_named_and_never_shown(
    lab: Lab, given: Shop, changes: dict[str, dict[str, str]]
) -> None:
    """In a process of its own: log, report and artifacts are searched for what is secret."""
    endpoint = given.environment.get("AZURE_STORAGE_CONNECTION_STRING", "").split("=")[-1][:-1]
    wrong = {k: v.format(endpoint=endpoint) for k, v in changes[given.scheme].items()}
    lab.environment = {**given.environment, **wrong}
    source = f"{given.scheme}://team/models/tiny"
    code, report, log = lab.finish(
        lab.start(lab.input("fetch", {"what": "model", "source": source}))
    )
    assert (code, report.reason) == (1, FailureClass.AUTH_DENIED), log
    assert "the Secret that secretRef names" in report.message
    said = log + report.to_json()
    assert "wrong-and-secret" not in said
    assert "d3JvbmctYW5kLXNlY3JldA" not in said


def test_the_right_credentials_are_never_shown_either(lab: Lab, given: Shop) -> None:
    lab.environment = dict(given.environment)
    source = f"{given.scheme}://team/models/tiny"
    code, report, log = lab.finish(
        lab.start(lab.input("fetch", {"what": "model", "source": source}))
    )
    assert code == 0, log
    note = (lab.store.path(report.key) / "artifact.json").read_text()
    for name in SECRETS:
        for part in given.environment.get(name, "").split(";"):
            assert not part or part.split("=", 1)[-1] not in log + report.to_json() + note


def test_without_credentials_the_source_is_asked_for_as_anybody_may(
    lab: Lab, given: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    if given.scheme == "s3":  # moto fails for strangers before it refuses them
        check_who_asks(given.environment["AWS_ENDPOINT_URL"], "inf")
    report = fetch(lab, given, "model", "team/models/tiny")
    assert report.reason is FailureClass.AUTH_DENIED, report
    assert "no credentials were given: the Secret does not exist or has none of" in report.message
    assert ("AWS_ACCESS_KEY_ID" if given.scheme == "s3" else "AZURE_STORAGE_") in report.message
    if given.scheme == "s3":
        check_who_asks(given.environment["AWS_ENDPOINT_URL"], "0")


def test_an_object_that_came_before_is_not_read_again(
    lab: Lab, given: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt ends while it brings the last file."""
    monkeypatch.setattr("olive_stage.parallel.AT_ONCE", 1)
    opened = object_store.file_system
    read: list[str] = []

    def breaking(scheme: str) -> Any:
        files = opened(scheme)
        real = files.get_file

        def get_file(path: str, local: str) -> None:
            read.append(path.rsplit("/", 1)[1])
            if len(read) == 3:
                raise ConnectionResetError
            real(path, local)

        files.get_file = get_file
        return files

    monkeypatch.setattr(object_store, "file_system", breaking)
    assert fetch(lab, given, "model", "team/models/tiny").reason is FailureClass.STAGE_ERROR
    assert fetch(lab, given, "model", "team/models/tiny").outcome == "Succeeded"
    assert len(read) == 3 + 3 - 2


def test_two_attempts_at_one_folder_do_not_damage_what_the_other_writes(
    lab: Lab, given: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes, reads all and ends while the first has a file that it has not used yet."""
    opened = object_store.file_system
    others: list[Report] = []

    def interrupted(scheme: str) -> Any:
        files = opened(scheme)
        real = files.get_file

        def get_file(path: str, local: str) -> None:
            real(path, local)
            if path.endswith("config.json"):
                stage = lab.input(
                    "fetch", {"what": "model", "source": f"{scheme}://team/models/tiny"}
                )
                others.append(lab.finish(lab.start(stage))[1])

        files.get_file = get_file
        return files

    monkeypatch.setattr(object_store, "file_system", interrupted)
    first = fetch(lab, given, "model", "team/models/tiny")
    assert [other.outcome for other in others] == ["Succeeded"], others
    assert first.outcome == "Succeeded", first
    assert first.key == others[0].key
    assert lab.artifact(first.key)
    assert not lab.leftovers()
    assert not list((lab.store.root / ".scratch").iterdir())


def test_a_full_disk_is_no_fault_of_the_store() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space left"), said_in_words(Bucket("s3", "team", "a")):
        raise full
