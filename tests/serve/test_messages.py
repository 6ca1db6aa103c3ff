"""Messages between the two processes: lines of JSON, checked."""

import pytest

from olive_serve.engine import GenerationRequest
from olive_serve.messages import Cancel, Finished, Generate, Message, Token, from_line, to_line

REQUEST = GenerationRequest("a\nb ü", "k", None, 0.5, 1.0, 7, ("\n",), templated=True)


@pytest.mark.parametrize(
    "message", [Generate(1, REQUEST), Cancel(1), Token(1, "🙂\n"), Finished(1, "stop", 2, 3)]
)
def test_a_message_is_one_line_and_comes_back_equal(message: Message) -> None:
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert from_line(line) == message


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b'["Token", {"id": "1", "text": ""}]', b'["Eval", {}]', b'["Cancel", {}]'],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        from_line(line)
