"""Sweeping a store: what is named goes, whole; what is used, young or locked stays."""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

from olive_contract.artifact import Artifact, describe
from olive_contract.stage import Report
from olive_contract.store import Store
from olive_contract.sweep import Sweep
from olive_stage import sweep
from olive_stage.resumable import resumable

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64
LONG_AGO, YESTERDAY = 1_000_000.0, 2_000_000.0
"""Unix times: of what is old, and before which that is."""


def keep(store: Store, key: str, *names: str) -> Path:
    """An artifact with files of these names; its folder."""
    with store.building(key) as folder:
        for name in names or ("model.onnx", "nested/weights"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{key} {name}")
        store.commit(folder, Artifact(key, "export", {}, {}, describe(folder)))
    return store.path(key)


def left(store: Store, name: str, at: float = LONG_AGO) -> Path:
    """A folder with something half-made, last written to at this time."""
    folder = store.root / name
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "part").write_text("half")
    for path in (folder / "files" / "part", folder / "files", folder):
        os.utime(path, (at, at))
    return folder


def given(lab: Lab, *keys: str, before: float = 0, keep: tuple[str, ...] = ()) -> str:
    """What a sweep's pod is given."""
    instant = datetime.fromtimestamp(before, UTC).isoformat() if before else ""
    return Sweep(keys, instant, keep, str(lab.store.root)).to_json()


def swept(lab: Lab, *keys: str, before: float = 0, keep: tuple[str, ...] = ()) -> Report:
    return sweep.run(given(lab, *keys, before=before, keep=keep))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_what_is_named_goes_with_all_that_was_left_of_making_it(lab: Lab) -> None:
    for key in (ONE, TWO):
        keep(lab.store, key)
        left(lab.store, f".scratch/{key}")
        left(lab.store, f".building/{key}-x")
    report = swept(lab, ONE)
    assert (report.outcome, report.message) == ("Succeeded", "1 artifacts and 0 leftovers removed")
    assert names(lab.store.root) == {TWO, ".scratch", ".building"}
    assert names(lab.store.root / ".scratch") == {TWO}
    assert names(lab.store.root / ".building") == {f"{TWO}-x"}
    assert lab.store.open(TWO)


def test_what_is_gone_already_is_no_error(lab: Lab) -> None:
    assert swept(lab, ONE).outcome == swept(lab, ONE).outcome == "Succeeded"


@pytest.mark.parametrize(
    "damage", ["no record", "record is no JSON", "a file", "empty", "no write"]
)
def test_a_damaged_artifact_goes_as_well(lab: Lab, damage: str) -> None:
    folder = keep(lab.store, ONE)
    if damage == "no record":
        (folder / "artifact.json").unlink()
    elif damage == "record is no JSON":
        (folder / "artifact.json").write_text("{")
    elif damage == "no write":
        (folder / "artifact.json").chmod(0o400)
    else:
        lab.store.remove(ONE)
        folder.write_text("") if damage == "a file" else folder.mkdir()
    assert swept(lab, ONE).outcome == "Succeeded"
    assert names(lab.store.root) - {".scratch"} == {".building"}


@pytest.mark.parametrize("where", [ONE, f"{ONE}/linked", f".scratch/{ONE}", f".building/{ONE}-x"])
def test_links_are_removed_and_what_they_lead_to_stays(lab: Lab, where: str) -> None:
    precious = lab.root / "elsewhere"
    precious.mkdir()
    (precious / "file").write_text("stays")
    link = lab.store.root / where
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(precious, target_is_directory=True)
    assert swept(lab, ONE).outcome == "Succeeded"
    assert not os.path.lexists(link)
    assert (precious / "file").read_text() == "stays"


def test_a_link_among_the_leftovers_is_as_old_as_itself(lab: Lab) -> None:
    precious = left(lab.store, "elsewhere")
    link = lab.store.root / ".building" / "x-1"
    link.parent.mkdir()
    link.symlink_to(precious, target_is_directory=True)
    assert swept(lab, before=YESTERDAY).message.endswith("and 0 leftovers removed")
    os.utime(link, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    assert swept(lab, before=YESTERDAY).message.endswith("and 1 leftovers removed")
    assert (precious / "files" / "part").exists()


def test_leftovers_go_by_their_youngest_file(lab: Lab) -> None:
    for name in (f".building/{ONE}-a", ".building/fetch-b", f".scratch/{ONE}"):
        left(lab.store, name)
    left(lab.store, f".scratch/fetch-{TWO}")
    young = left(lab.store, f".scratch/{THREE}")
    os.utime(young / "files" / "part", (YESTERDAY, YESTERDAY))
    (lab.store.root / ".building" / "stray").write_text("no folder")
    os.utime(lab.store.root / ".building" / "stray", (LONG_AGO, LONG_AGO))
    assert swept(lab).message == "0 artifacts and 0 leftovers removed"
    assert swept(lab, before=YESTERDAY).message == "0 artifacts and 5 leftovers removed"
    assert names(lab.store.root / ".building") == set()
    assert names(lab.store.root / ".scratch") == {THREE}


def test_checkpoints_of_a_stage_that_is_to_go_on_stay(lab: Lab) -> None:
    checkpoints = left(lab.store, f".scratch/{ONE}")
    building = left(lab.store, f".building/{ONE}-x")
    swept(lab, before=YESTERDAY, keep=(ONE,))
    assert checkpoints.exists()
    assert building.exists()


def test_scratch_is_young_again_once_an_attempt_asks_for_it(lab: Lab) -> None:
    left(lab.store, f".scratch/{ONE}")
    lab.store.scratch(ONE)
    swept(lab, before=YESTERDAY)
    assert names(lab.store.root / ".scratch") == {ONE}


def test_what_a_fetch_has_brought_stays_while_a_fetch_is_at_it(lab: Lab, tmp_path: Path) -> None:
    with suppress(ConnectionError), resumable(lab.store, ONE, tmp_path) as files:
        (files / "part").write_text("half")
        for path in (files / "part", files, files.parent / "lock", files.parent):
            os.utime(path, (LONG_AGO, LONG_AGO))
        assert swept(lab, before=YESTERDAY).message.endswith("and 0 leftovers removed")
        assert (files / "part").read_text() == "half"
        raise ConnectionError
    for path in (files.parent / "lock", files.parent):
        os.utime(path, (LONG_AGO, LONG_AGO))
    assert swept(lab, before=YESTERDAY).message.endswith("and 1 leftovers removed")
    assert names(lab.store.root / ".scratch") == set()


def test_a_volume_without_locks_keeps_what_fetches_brought(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(handle: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    folder = left(lab.store, f".scratch/fetch-{ONE}")
    swept(lab, before=YESTERDAY)
    assert folder.exists()


def test_killed_in_the_middle_it_comes_to_the_same_end_when_it_is_run_again(lab: Lab) -> None:
    """At no instant is half an artifact to be seen under its name."""
    many = [f"{number:04}" for number in range(3000)]
    folder = keep(lab.store, ONE, *many)
    process = lab.pod(sys.executable, "-m", "olive_stage", "sweep", given(lab, ONE))
    building = lab.store.root / ".building"
    while process.poll() is None and not any(building.glob(f"{ONE}-*/removed")):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not folder.exists()
    assert swept(lab, ONE).outcome == "Succeeded"
    assert names(building) == set()


def test_stopped_after_every_single_step_nothing_is_ever_half_there(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename, unlink and rmdir in turn is the last thing that a sweep does."""
    steps = ("mkdir", "rename", "unlink", "rmdir", "fsync")
    real = {name: getattr(os, name) for name in steps}

    class Stopped(BaseException):
        pass

    def stop_after(count: int) -> None:
        done = 0

        def counted(name: str) -> Callable[..., Any]:
            def step(*given: Any, **options: Any) -> Any:
                nonlocal done
                if done == count:
                    raise Stopped
                done += 1
                return real[name](*given, **options)

            return step

        for name in steps:
            monkeypatch.setattr(os, name, counted(name))

    for count in range(100):
        monkeypatch.undo()
        whole = keep(lab.store, ONE)
        left(lab.store, f".scratch/{ONE}/checkpoint")
        stop_after(count)
        try:
            swept(lab, ONE)
        except Stopped:
            monkeypatch.undo()
            assert not whole.exists() or lab.store.open(ONE), (
                f"half an artifact after {count} steps"
            )
            assert swept(lab, ONE).outcome == "Succeeded"
            assert (
                names(lab.store.root / ".building") == names(lab.store.root / ".scratch") == set()
            )
            assert not whole.exists()
        else:
            assert count > 5, "nothing was counted"
            return
    raise AssertionError("a sweep takes more steps than this test makes")


def test_what_cannot_be_removed_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(lab.store, ONE)

    def refuse(*given: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        report = swept(lab, ONE)
    assert report.outcome == "Failed"
    assert "Permission denied" in report.message
    assert swept(lab, ONE).outcome == "Succeeded"


def test_a_leftover_that_resists_holds_nothing_up(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(lab.store, ONE)
    left(lab.store, ".building/a-1")
    left(lab.store, ".building/b-1")
    clear = Store.clear

    def refuse(store: Store, leftover: Path) -> None:
        if leftover.name == "a-1":
            raise PermissionError(13, "Permission denied")
        clear(store, leftover)

    monkeypatch.setattr(Store, "clear", refuse)
    assert swept(lab, ONE, before=YESTERDAY).message == "1 artifacts and 1 leftovers removed"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("keys", [".."], "'..' is no key"),
        ("keys", [f"{ONE}/.."], "is no key"),
        ("keep", ["*"], "'*' is no key"),
        ("before", "yesterday", "yesterday"),
        ("before", "2026-11-21T10:00:00", "names no time zone"),
        ("all", True, "unknown field 'all'"),
    ],
)
def test_nothing_but_keys_and_an_instant_is_acted_upon(
    lab: Lab, field: str, value: object, said: str
) -> None:
    keep(lab.store, ONE)
    report = sweep.run(json.dumps({"store": str(lab.store.root), field: value}))
    assert (report.outcome, report.reason) == ("Failed", "InvalidInput")
    assert said in report.message
    assert lab.store.open(ONE)


def test_as_a_process_it_leaves_a_report(lab: Lab) -> None:
    keep(lab.store, ONE)
    process = lab.pod(sys.executable, "-m", "olive_stage", "sweep", given(lab, ONE))
    code, report, log = lab.finish(process)
    assert (code, report.outcome) == (0, "Succeeded"), log
    assert f"removed {ONE}" in log
    assert not lab.store.path(ONE).exists()
