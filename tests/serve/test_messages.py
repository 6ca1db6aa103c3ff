"""Messages between the two processes: lines of JSON, checked."""

from collections.abc import Callable

import msgspec
import pytest

from olive_serve.engine import GenerationRequest, TokenLogprob, TokenLogprobs
from olive_serve.messages import (
    Cancel,
    Command,
    Event,
    Finished,
    Generate,
    Token,
    command_of,
    event_of,
    to_line,
)
from olive_serve.sampling_params import SamplingParams

REQUEST = GenerationRequest(
    (1, 2), "k", None, SamplingParams(seed=7, logit_bias=((3, -1.5),)), ("\n é",), grammar="{}"
)
LOGPROBS = TokenLogprobs(TokenLogprob(1, "é", -0.5), (TokenLogprob(2, "\n", -1.5),))


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (Generate(1, REQUEST), command_of),
        (Cancel(1), command_of),
        (Token(1, 0, "🙂\n"), event_of),
        (Token(1, 0, "é", LOGPROBS), event_of),
        (Finished(1, 2, "stop", 3), event_of),
    ],
)
def test_a_message_is_one_line_and_comes_back_equal(
    message: Command | Event, read: Callable[[bytes], Command | Event]
) -> None:
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert read(line) == message


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b'["Token","1",0,""]', b'["Eval"]', b'["Cancel"]', b'["Finished",1,0,"why",1]'],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        event_of(line)
    with pytest.raises(msgspec.DecodeError):
        command_of(line)
