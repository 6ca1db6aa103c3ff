"""Templates: what is accepted, what is refused and how, and what comes out."""

import pytest

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.template import parse


def test_a_row_is_rendered_with_braces_kept() -> None:
    template = parse("{{q}} {prompt}\n{response}<|end|>")
    row = {"prompt": "Why {x}?", "response": 42}
    assert template.render(row) == "{q} Why {x}?\n42<|end|>"
    assert template.columns == ("prompt", "response")


def test_the_question_ends_before_the_last_column() -> None:
    template = parse("<|user|>{prompt}<|end|><|assistant|>{response}<|end|>")
    question = template.question({"prompt": "Where?", "response": "Here."})
    assert question == ("<|user|>Where?<|end|><|assistant|>", "Here.")
    assert template.tail == "<|end|>"


def test_a_column_named_twice_is_asked_for_once_and_answered_at_its_last_place() -> None:
    template = parse("{a}{b}{a}.")
    assert template.columns == ("a", "b")
    assert template.question({"a": "1", "b": "2"}) == ("12", "1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("{prompt", "cannot be read", id="open brace"),
        pytest.param("prompt}", "cannot be read", id="closing brace alone"),
        pytest.param("{}", "only plain column names", id="no name"),
        pytest.param("{0}", "only plain column names", id="a number"),
        pytest.param("{row.name}", "only plain column names", id="an attribute"),
        pytest.param("{row[0]}", "only plain column names", id="an index"),
        pytest.param("{prompt!r}", "only plain column names", id="a conversion"),
        pytest.param("{prompt:>10}", "only plain column names", id="a format"),
        pytest.param("no columns {{here}}", "names no column", id="no column"),
        pytest.param("", "names no column", id="empty"),
    ],
)
def test_a_malformed_template_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(StageFailure, match=says) as caught:
        parse(text)
    assert caught.value.failure is FailureClass.INVALID_INPUT
