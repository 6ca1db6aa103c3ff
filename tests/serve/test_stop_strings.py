"""Stop strings, however the tokens split them."""

import pytest

from olive_serve.worker.stop_strings import StopStrings


@pytest.mark.parametrize(
    ("stops", "pieces", "sent"),
    [
        ((), ["a", "b"], ["a", "b"]),
        (("end",), ["the ", "e", "n", "d", "less"], ["the ", "", "", ""]),
        (("end",), ["the e", "nvy"], ["the ", "envy"]),
        (("aab",), ["a", "a", "a", "b"], ["", "", "a", ""]),
        (("b", "abc"), ["a", "bc"], ["", ""]),
        (("\n\n",), ["a\n", "b\n", "\n"], ["a", "\nb", ""]),
        (("é",), ["caf", "é"], ["caf", ""]),
    ],
)
def test_text_is_sent_up_to_the_stop(
    stops: tuple[str, ...], pieces: list[str], sent: list[str]
) -> None:
    it = StopStrings(stops)
    out = []
    for piece in pieces:
        out.append(it.feed(piece))
        if it.found:
            break
    assert out == sent


def test_what_was_held_back_comes_at_the_end() -> None:
    it = StopStrings(("end",))
    assert (it.feed("the en"), it.rest(), it.rest()) == ("the ", "en", "")
