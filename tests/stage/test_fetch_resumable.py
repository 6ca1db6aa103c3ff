"""Where attempts download to: one has the folder that stays, and nobody writes into another's."""

import fcntl
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from lab import Lab

from olive_stage.resumable import forget, resumable

KEY = "0" * 64


def left(lab: Lab) -> list[Path]:
    return list((lab.store.root / ".scratch").iterdir())


def test_what_an_attempt_left_is_found_by_the_next_and_gone_once_it_was_used(
    lab: Lab, tmp_path: Path
) -> None:
    with suppress(ConnectionError), resumable(lab.store, KEY, tmp_path) as folder:
        (folder / "part").write_text("half")
        raise ConnectionError
    with resumable(lab.store, KEY, tmp_path) as folder:
        assert (folder / "part").read_text() == "half"
    assert not left(lab)


def test_whoever_comes_second_gets_an_empty_folder_of_its_own(lab: Lab) -> None:
    with lab.store.building("fetch") as out, resumable(lab.store, KEY, out) as first:
        (first / "lock").write_text("a file of the source")
        with resumable(lab.store, KEY, out) as second:
            assert second.parent == out
            assert not list(second.iterdir())
        assert not list(out.iterdir())
        assert (first / "lock").exists()
    assert not left(lab)


def test_a_lock_that_its_holder_removed_meanwhile_holds_nobody_off(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second opens the lock's file, the first ends and removes it, the second locks it."""
    flock = fcntl.flock
    with ExitStack() as first, ExitStack() as others:
        first.enter_context(resumable(lab.store, KEY, tmp_path))

        def late(handle: int, operation: int) -> None:
            first.close()
            flock(handle, operation)

        monkeypatch.setattr(fcntl, "flock", late)
        second = others.enter_context(resumable(lab.store, KEY, tmp_path))
        third = others.enter_context(resumable(lab.store, KEY, tmp_path))
        assert second.parent != tmp_path
        assert third.parent == tmp_path
        (second / "part").write_text("half")


def test_a_volume_without_locks_is_downloaded_to_all_the_same(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(handle: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with resumable(lab.store, KEY, tmp_path) as folder:
        assert folder.parent == tmp_path


def test_what_nobody_needs_any_more_is_removed_unless_somebody_writes_there(
    lab: Lab, tmp_path: Path
) -> None:
    with suppress(ConnectionError), resumable(lab.store, KEY, tmp_path) as folder:
        (folder / "part").write_text("half")
        forget(lab.store, KEY)
        assert (folder / "part").exists()
        raise ConnectionError
    forget(lab.store, KEY)
    assert not left(lab)
