"""Several transfers at once: in what order they come, and what an error leaves behind."""

import threading

import pytest

from olive_stage.parallel import AT_ONCE, each


def test_all_come_and_one_that_waits_holds_up_no_other() -> None:
    others = threading.Event()
    came = []

    def do(item: int) -> int:
        if item == 0:
            assert others.wait(60)
        return item * 10

    for result in each(range(AT_ONCE * 3), do, lambda: None):
        came.append(result)
        if len(came) == AT_ONCE * 3 - 1:
            others.set()
    assert came[-1] == 0
    assert sorted(came) == [item * 10 for item in range(AT_ONCE * 3)]


def test_after_an_error_nothing_is_begun_and_what_is_under_way_ends() -> None:
    begun, ended = [], []
    all_there = threading.Barrier(AT_ONCE)

    def do(item: int) -> None:
        begun.append(item)
        all_there.wait(60)
        if item == 3:
            raise ConnectionError("item 3")
        ended.append(item)

    with pytest.raises(ConnectionError, match="item 3"):
        list(each(range(AT_ONCE), do, lambda: None))
    assert sorted(begun) == list(range(AT_ONCE))
    assert sorted(ended) == [item for item in range(AT_ONCE) if item != 3]


def test_nothing_is_nothing() -> None:
    assert list(each([], print, lambda: None)) == []
