"""Who sits in which row, and what is still there of earlier prompts: contents are tokens here."""

import numpy as np
import pytest

from olive_serve.worker.rows import Row, Rows

BASE, ITALIAN = -1, 0


class Contents:
    """A cache whose positions hold the tokens that they stand for."""

    def __init__(self, rows: int) -> None:
        self.held = np.zeros((rows, 100), np.int64)

    def compute(self, row: Row, tokens: list[int]) -> None:
        self.held[row.index, row.length : row.length + len(tokens)] = tokens
        row.extend(tokens)

    def copy(self, source: int, target: int, tokens: int) -> None:
        self.held[target, :tokens] = self.held[source, :tokens]

    def exchange(self, one: int, other: int, tokens: int) -> None:
        self.held[[one, other], :tokens] = self.held[[other, one], :tokens]

    def forget(self, row: int, *, keep: int) -> None:
        self.held[row, keep:] = 0

    def of(self, row: Row) -> list[int]:
        return [int(token) for token in self.held[row.index, : row.length]]


class Story:
    def __init__(self, count: int = 4, budget: int = 200) -> None:
        self.contents = Contents(count)
        self.rows = Rows(self.contents, count=count, budget=budget)

    def ask(self, prompt: list[int], adapter: int = BASE, reserved: int = 50) -> tuple[Row, int]:
        """A prompt, read to its end; its row, and how much of it was there."""
        row = self.rows.take(prompt, adapter, reserved)
        known = row.length
        assert self.contents.of(row) == prompt[:known]
        self.contents.compute(row, prompt[known:])
        return row, known


SYSTEM = list(range(1, 31))


def test_a_prompt_that_begins_like_an_earlier_one_is_read_from_where_they_differ() -> None:
    story = Story()
    first, known = story.ask([*SYSTEM, 77])
    assert known == 0
    story.rows.give_back(first)
    _, known = story.ask([*SYSTEM, 88, 89])
    assert known == len(SYSTEM)


@pytest.mark.parametrize(
    ("rest", "same"), [(0, True), (7, True), (8, False)], ids=["nothing", "a little", "much"]
)
def test_a_short_rest_is_given_up_rather_than_the_beginning_copied(rest: int, same: bool) -> None:
    story = Story()
    first, _ = story.ask([*SYSTEM, *range(50, 50 + rest)])
    story.rows.give_back(first)
    second, known = story.ask([*SYSTEM, 88])
    assert (known, second is first) == (len(SYSTEM), same)


def test_of_an_equal_prompt_the_last_token_is_computed() -> None:
    story = Story()
    story.rows.give_back(story.ask(SYSTEM)[0])
    assert story.ask(SYSTEM)[1] == len(SYSTEM) - 1


def test_a_sequence_that_still_runs_lends_its_beginning() -> None:
    story = Story()
    running, _ = story.ask([*SYSTEM, 77])
    other, known = story.ask([*SYSTEM, 88])
    assert (known, other is running) == (len(SYSTEM), False)
    assert story.contents.of(running) == [*SYSTEM, 77]


def test_another_adapter_has_computed_other_things() -> None:
    story = Story()
    story.rows.give_back(story.ask(SYSTEM, ITALIAN)[0])
    assert story.ask(SYSTEM, BASE)[1] == 0
    story.rows.forget_adapter(ITALIAN)
    assert story.ask(SYSTEM, ITALIAN)[1] == 0, "its number may be another adapter's by now"


def test_a_few_tokens_are_not_worth_a_copy() -> None:
    story = Story()
    story.ask([1, 2, 3, 4])
    assert story.ask([1, 2, 3, 5])[1] == 0


def test_a_chat_goes_on_in_the_row_where_it_was() -> None:
    story = Story()
    first, _ = story.ask([1, 2, 3])
    story.contents.compute(first, [4, 5])
    story.rows.give_back(first)
    second, known = story.ask([1, 2, 3, 4, 5, 6])
    assert (second is first, known) == (True, 5)


def test_answers_lie_side_by_side_whatever_ends() -> None:
    story = Story()
    asked = [story.ask([n] * (n + 1))[0] for n in range(4)]
    for row in (asked[2], asked[0], asked[3]):
        story.rows.answer(row)
    assert sorted(row.index for row in (asked[2], asked[0], asked[3])) == [0, 1, 2]
    story.rows.give_back(asked[2])
    story.rows.answer(asked[1])
    left = (asked[0], asked[3], asked[1])
    assert sorted(row.index for row in left) == [0, 1, 2]
    for row, token in zip(left, (0, 3, 1), strict=True):
        assert story.contents.of(row) == [token] * (token + 1)


@pytest.mark.parametrize(
    ("lengths", "fits"),
    [
        pytest.param([50], True, id="one"),
        pytest.param([50, 50, 50], True, id="as many as there are rows"),
        pytest.param([50] * 4, False, id="more than there are rows"),
        pytest.param([100, 51], False, id="more than the budget"),
    ],
)
def test_what_has_begun_keeps_its_room(lengths: list[int], fits: bool) -> None:
    story = Story(count=4, budget=200)
    story.ask([1])
    assert story.rows.usage == pytest.approx(0.25)
    assert story.rows.fits(lengths) is fits


def test_what_is_kept_of_ended_sequences_goes_first_where_room_is_needed() -> None:
    story = Story(count=4, budget=100)
    for start in (100, 200):
        story.rows.give_back(story.ask(list(range(start, start + 40)))[0])
    story.ask([1], reserved=50)
    assert story.ask(list(range(200, 240)), reserved=50)[1] == 39, "the younger one was kept"
    story = Story(count=4, budget=100)
    for start in (100, 200):
        story.rows.give_back(story.ask(list(range(start, start + 40)))[0])
    story.ask([1], reserved=50)
    assert story.ask(list(range(100, 140)), reserved=50)[1] == 0, "the older one went"
