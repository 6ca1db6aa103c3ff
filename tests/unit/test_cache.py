"""The cache: what late or repeated news do to it, and which jobs a change concerns."""

from dataclasses import dataclass
from typing import Any

import pytest

from olive_operator.watch.cache import Cache, JobKey, ObjectKey, Place

TRAVEL, FOOD = ("ml", "travel"), ("ml", "food")


@dataclass(frozen=True)
class Note:
    """A record of some job's, with a text that others may wait for."""

    text: str = "a"
    job: JobKey = TRAVEL
    place: str = "desk"

    @property
    def urgent(self) -> bool:
        return True

    def places(self, key: ObjectKey) -> list[tuple[Place, str, Any]]:
        return [((self.place, key[0]), key[1], self.text)]

    def concerns(self, key: ObjectKey) -> list[JobKey]:
        return [self.job]

    def told(self, key: ObjectKey) -> list[str]:
        return [self.text]


class Watch:
    """A cache, and the short words of a watch of notes in all namespaces."""

    def __init__(self) -> None:
        self.cache = Cache()

    def put(
        self, version: int, record: Note, name: str = "n", uid: str = "u", namespace: str = "ml"
    ) -> set[JobKey]:
        found = self.cache.put("Note", (namespace, name), version, uid, record)
        self.cache.seen("Note", "", version)
        return found

    def drop(self, version: int, name: str = "n") -> set[JobKey]:
        return self.cache.drop("Note", ("ml", name), version)

    def made(self, version: int, record: Note) -> set[JobKey]:
        return self.cache.made("Note", ("ml", "n"), version, "u", record)

    def desk(self) -> dict[str, str]:
        return dict(self.cache.at("desk", "ml"))


def test_new_object_is_found_and_concerns_its_job() -> None:
    watch = Watch()
    assert watch.put(1, Note("a")) == {TRAVEL}
    assert watch.desk() == {"n": "a"}


def test_change_that_changes_nothing_for_us_concerns_nobody_and_is_the_version_from_now() -> None:
    watch = Watch()
    watch.put(1, Note("a"))
    assert watch.put(2, Note("a")) == set()
    known = watch.cache.get("Note", ("ml", "n"))
    assert known is not None
    assert known.version == 2


@pytest.mark.parametrize("version", [4, 5])
def test_old_news_are_no_news(version: int) -> None:
    watch = Watch()
    watch.put(5, Note("new"))
    assert watch.put(version, Note("old")) == set()
    assert watch.desk() == {"n": "new"}


def test_record_that_moves_is_found_in_its_new_place_only() -> None:
    watch = Watch()
    watch.put(1, Note("a", place="desk"))
    watch.put(2, Note("a", place="shelf"))
    assert watch.desk() == {}
    assert dict(watch.cache.at("shelf", "ml")) == {"n": "a"}


def test_record_that_passes_to_another_job_concerns_both() -> None:
    watch = Watch()
    watch.put(1, Note(job=TRAVEL))
    assert watch.put(2, Note(job=FOOD)) == {TRAVEL, FOOD}


def test_object_that_is_gone_concerns_its_job_and_is_found_no_more() -> None:
    watch = Watch()
    watch.put(1, Note())
    assert watch.drop(2) == {TRAVEL}
    assert watch.desk() == {}
    assert watch.drop(3) == set()


def test_end_of_an_object_is_not_that_of_the_next_one_of_its_name() -> None:
    watch = Watch()
    watch.put(1, Note("first"), uid="u1")
    watch.put(3, Note("second"), uid="u2")
    assert watch.drop(2) == set()
    assert watch.desk() == {"n": "second"}


def test_object_made_anew_is_news_though_it_looks_the_same() -> None:
    watch = Watch()
    watch.put(1, Note("a"), uid="u1")
    assert watch.put(2, Note("a"), uid="u2") == {TRAVEL}


def test_list_tells_what_was_removed_while_nobody_watched() -> None:
    watch = Watch()
    watch.put(1, Note("stays"), "stays")
    watch.put(2, Note("goes", FOOD), "goes")
    assert watch.cache.keep("Note", "", {("ml", "stays")}, 9) == {FOOD}
    assert watch.desk() == {"stays": "stays"}


def test_list_says_nothing_of_what_was_made_after_it() -> None:
    watch = Watch()
    watch.made(12, Note("just made"))
    assert watch.cache.keep("Note", "", set(), 9) == set()
    assert watch.desk() == {"n": "just made"}


def test_list_of_one_namespace_says_nothing_of_another() -> None:
    watch = Watch()
    watch.put(1, Note(), namespace="ml")
    assert watch.cache.keep("Note", "elsewhere", set(), 9) == set()
    assert watch.desk() == {"n": "a"}


def test_what_we_made_ourselves_is_known_before_the_watch_brings_it() -> None:
    watch = Watch()
    watch.put(1, Note("other"), "other")
    assert watch.made(5, Note("a")) == {TRAVEL}
    assert watch.put(5, Note("a")) == set(), "the watch brings nothing new then"


def test_answer_that_comes_after_the_watch_has_passed_it_does_not_bring_back_what_is_gone() -> None:
    watch = Watch()
    watch.put(5, Note("a"))
    watch.drop(6)
    assert watch.made(5, Note("a")) == set()
    assert watch.desk() == {}


def test_jobs_that_wait_for_a_text_are_concerned_by_it_in_their_namespace() -> None:
    watch = Watch()
    watch.cache.waits(FOOD, frozenset({"key", "claim"}))
    watch.cache.waits(("elsewhere", "food"), frozenset({"key"}))
    assert watch.put(1, Note("key")) == {TRAVEL, FOOD}
    assert watch.put(2, Note("another")) == {TRAVEL, FOOD}, "what it was, it is no more"
    assert watch.put(3, Note("and another")) == {TRAVEL}
    watch.put(4, Note("claim"))
    assert watch.drop(5) == {TRAVEL, FOOD}


def test_job_waits_only_for_what_it_said_last() -> None:
    watch = Watch()
    watch.cache.waits(FOOD, frozenset({"a", "b"}))
    watch.cache.waits(FOOD, frozenset({"b", "c"}))
    assert [bool(watch.cache.waiting("ml", text)) for text in "abc"] == [False, True, True]
    watch.cache.waits(FOOD, frozenset())
    assert not any(watch.cache.waiting("ml", text) for text in "abc")


def test_nothing_is_left_of_what_is_gone() -> None:
    watch = Watch()
    watch.put(1, Note())
    watch.cache.waits(FOOD, frozenset({"a"}))
    watch.drop(2)
    watch.cache.waits(FOOD, frozenset())
    empty = Cache()
    empty.seen("Note", "", 1)
    left = {name: value for name, value in vars(watch.cache).items() if name != "_known"}
    assert left == {name: value for name, value in vars(empty).items() if name != "_known"}
    assert list(watch.cache.keys("Note")) == []
