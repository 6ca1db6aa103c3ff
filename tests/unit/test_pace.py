"""So many a second: who asks first goes first, and who has a turn keeps it."""

from olive_operator.scheduling.pace import Pace


class Clock:
    """Goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_turns_come_one_after_the_other() -> None:
    clock = Clock()
    pace: Pace[str] = Pace(4, clock)
    assert [pace.wait(key) for key in "abc"] == [0.0, 0.25, 0.5]
    clock.now += 0.25
    assert pace.wait("b") == 0.0
    assert pace.wait("c") == 0.25


def test_turn_that_is_used_is_another_the_next_time() -> None:
    pace: Pace[str] = Pace(4, Clock())
    assert [pace.wait("a"), pace.wait("a")] == [0.0, 0.25]


def test_time_in_which_nobody_asked_is_not_made_up_for() -> None:
    clock = Clock()
    pace: Pace[str] = Pace(4, clock)
    clock.now += 60
    assert [pace.wait("a"), pace.wait("b")] == [0.0, 0.25]


def test_turns_that_are_dropped_are_given_to_the_next() -> None:
    pace: Pace[str] = Pace(4, Clock())
    assert [pace.wait(key) for key in "abcd"] == [0.0, 0.25, 0.5, 0.75]
    pace.drop("b")
    pace.drop("c")
    assert pace.wait("e") == 0.5
