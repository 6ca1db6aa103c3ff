"""A store in which somebody else wrote: what an artifact names outside of itself is never read."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

from olive_contract.failures import FailureClass, StageFailure

KEY = "a" * 64


def note(**changes: Any) -> str:
    file = {"path": "config.json", "size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
    body = {"key": KEY, "kind": "fetch", "params": {}, "inputs": {}, "files": [file | changes]}
    return json.dumps(body)


@pytest.mark.parametrize(
    ("text", "link", "says"),
    [
        pytest.param(note(path="../outside"), "", "leads out of it", id="a name that climbs"),
        pytest.param(note(path="{outside}"), "", "leads out of it", id="a whole path"),
        pytest.param(note(path="linked"), "linked", "leads out of it", id="a link"),
        pytest.param(note(path="sub/outside"), "sub", "leads out of it", id="a linked folder"),
        pytest.param(note(path="pipe"), "", "is absent", id="a pipe"),
        pytest.param(note(size=3), "", "not what was written", id="another size"),
        pytest.param(note(sha256="0" * 64), "", "not what was written", id="another digest"),
        pytest.param('{"a":' * 100_000, "", "is damaged", id="a note 100 000 deep"),
        pytest.param("{", "", "is damaged", id="a note cut short"),
        pytest.param("[]", "", "is damaged", id="a note that is a list"),
    ],
)
def test_an_artifact_that_lies_is_refused(lab: Lab, text: str, link: str, says: str) -> None:
    folder, outside = lab.store.path(KEY), lab.store.root / "outside"
    folder.mkdir()
    outside.write_text("{}")
    (folder / "config.json").write_text("{}")
    os.mkfifo(folder / "pipe")
    if link:
        (folder / link).symlink_to(outside if link == "linked" else lab.store.root)
    (folder / "artifact.json").write_text(text.replace("{outside}", str(outside)))
    with pytest.raises(StageFailure, match=says) as caught:
        lab.store.open(KEY)
    assert caught.value.failure is FailureClass.INPUT_MISSING
    assert caught.value.missing == KEY


def test_an_honest_artifact_is_opened(lab: Lab) -> None:
    folder: Path = lab.store.path(KEY)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "artifact.json").write_text(note())
    assert lab.store.open(KEY).key == KEY
