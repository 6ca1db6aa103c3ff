"""Data sets: which lines are refused and how, and how rows are split."""

import pytest

from olive_contract.failures import StageFailure
from olive_stage.rows import check_rows, split
from olive_stage.template import parse

TEMPLATE = parse("{prompt}{response}")
GOOD = b'{"prompt": "a", "response": "b"}'


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param([], "has no rows", id="empty"),
        pytest.param([b"", b"  "], "has no rows", id="blank lines only"),
        pytest.param([GOOD, b"{oops"], "line 2 is not JSON: Expecting property", id="not JSON"),
        pytest.param([GOOD, b"", b"[1]"], "line 3 is not a JSON object but a list", id="a list"),
        pytest.param([b'"x"'], "line 1 is not a JSON object but a text", id="a text"),
        pytest.param([GOOD, b'{"prompt": "\xff"}'], "line 2 is not UTF-8", id="not UTF-8"),
        pytest.param(
            [b'{"prompt": "a", "answer": "b"}'],
            "line 1 has no column 'response', which the template names; "
            "its columns are 'prompt', 'answer'",
            id="column absent",
        ),
        pytest.param(
            [b'{"prompt": null, "response": "b"}'], "line 1 has null in column", id="null"
        ),
        pytest.param(
            [b'{"prompt": {}, "response": "b"}'], "line 1 has an object in column", id="nested"
        ),
    ],
)
def test_a_wrong_line_is_named(lines: list[bytes], says: str) -> None:
    with pytest.raises(StageFailure, match=says):
        check_rows(lines, TEMPLATE)


def test_blank_lines_and_a_byte_order_mark_are_no_error() -> None:
    assert len(check_rows([b"\xef\xbb\xbf" + GOOD, b"", GOOD], TEMPLATE)) == 2


def test_without_a_template_any_object_is_a_row() -> None:
    assert check_rows([b'{"x": null}'], None) == [{"x": None}]


ROWS = [{"n": n} for n in range(100)]


def test_a_split_is_whole_disjoint_and_always_the_same() -> None:
    kept, held = split(ROWS, 0.1, seed=3)
    assert len(held) == 10
    assert sorted([*kept, *held], key=lambda row: row["n"]) == ROWS
    assert split(ROWS, 0.1, seed=3) == (kept, held)


def test_another_seed_holds_out_other_rows() -> None:
    assert split(ROWS, 0.1, seed=3)[1] != split(ROWS, 0.1, seed=4)[1]


def test_equal_rows_are_never_on_both_sides() -> None:
    kept, held = split(ROWS + ROWS, 0.1, seed=0)
    assert not [row for row in held if row in kept]


def test_one_more_row_leaves_nearly_all_where_they_were() -> None:
    before, after = split(ROWS, 0.2, seed=0)[1], split([*ROWS, {"n": -1}], 0.2, seed=0)[1]
    assert len([row for row in before if row not in after]) <= 1


def test_nothing_is_held_out_of_a_split_of_nothing() -> None:
    assert split(ROWS, 0.0, seed=0) == (ROWS, [])


def test_a_split_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(StageFailure, match="leaves none to train on"):
        split(ROWS[:1], 0.1, seed=0)
