"""Calls of tools in a growing text, and the grammars that answers with calls must follow."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tool_templates
from llguidance import LLMatcher, LLTokenizer
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from olive_serve.engine import Delta, Finish, FinishReason, Usage
from olive_serve.response_format import ResponseFormat
from olive_serve.responses import Answer, Choice
from olive_serve.tool_calls import HERMES, LLAMA, CallFormat, CallReader, ToolCall, format_of
from olive_serve.tool_use import MOST_CALLS, ToolsRefused, ToolUse
from olive_serve.tools import Tool

ROME = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/city"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"city": {"enum": ["Rome", "Bern", '}\n//"é']}},
}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": ROME}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
NOW = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
PYTHON = '{"name": "weather", "parameters": {"city": "Rome"}}'
GO_ROME = ("weather", '{"city": "Rome"}')
GO_NOW = ("clock", "{}")


def told(
    pieces: Iterable[str], format: CallFormat, *, single: bool = False
) -> tuple[str, list[tuple[str, str]]]:
    """The text and the calls that come of the pieces."""
    reader = CallReader(format, {"weather", "clock"}, single=single)
    text = ""
    calls: list[tuple[str, str]] = []
    items: list[Delta | Finish] = [Delta(0, piece, 1) for piece in pieces]
    for item in [*items, Finish(0, "stop")]:
        for found in reader.read(item):
            if isinstance(found, Delta):
                text += found.text
            elif isinstance(found, ToolCall):
                assert (found.index, found.id[:5]) == (len(calls), "call_")
                calls.append((found.name, found.arguments))
    return text, calls


def hermes(arguments: str, name: str = "weather") -> str:
    return f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'


@pytest.mark.parametrize(
    ("format", "answer", "text", "calls"),
    [
        pytest.param(HERMES, "", "", [], id="nothing"),
        pytest.param(HERMES, "Hello <tool_cal there\n", "Hello <tool_cal there\n", [], id="text"),
        pytest.param(HERMES, " \n", " \n", [], id="blanks"),
        pytest.param(HERMES, CALL, "", [GO_ROME], id="a call"),
        pytest.param(HERMES, f"I look.\n\n{CALL}\n", "I look.", [GO_ROME], id="text before"),
        pytest.param(HERMES, f"{CALL}\n{NOW}", "", [GO_ROME, GO_NOW], id="two calls"),
        pytest.param(HERMES, f"{CALL}{NOW}", "", [GO_ROME, GO_NOW], id="side by side"),
        pytest.param(HERMES, f"{CALL}\nSo.", "\nSo.", [GO_ROME], id="text after"),
        pytest.param(HERMES, CALL[:-13], "", [GO_ROME], id="never closed"),
        pytest.param(HERMES, CALL[:-20], CALL[:-20], [], id="cut"),
        pytest.param(HERMES, CALL[:-4], "", [GO_ROME], id="cut in the closing"),
        pytest.param(HERMES, f"{hermes('{}', 'x')} {CALL}", hermes("{}", "x"), [GO_ROME], id="x"),
        pytest.param(HERMES, "<tool_call>\nno", "<tool_call>\nno", [], id="no object"),
        pytest.param(HERMES, f"<tool_call>{CALL}", "<tool_call>", [GO_ROME], id="opened twice"),
        pytest.param(HERMES, hermes("{}", '"'), hermes("{}", '"'), [], id="no JSON"),
        pytest.param(
            HERMES, '<tool_call>{"name": []}', '<tool_call>{"name": []}', [], id="no name"
        ),
        pytest.param(HERMES, hermes("[]"), hermes("[]"), [], id="arguments in a list"),
        pytest.param(HERMES, hermes('{"a": NaN}'), hermes('{"a": NaN}'), [], id="NaN"),
        pytest.param(HERMES, hermes('{"a": 1e999}'), hermes('{"a": 1e999}'), [], id="infinite"),
        pytest.param(
            HERMES,
            hermes('{"a": "}</tool_call>{\\"\\\\"}'),
            "",
            [("weather", '{"a": "}</tool_call>{\\"\\\\"}')],
            id="the closing in a string",
        ),
        pytest.param(
            HERMES, hermes('{"a": "é🙂"}'), "", [("weather", '{"a": "é🙂"}')], id="Unicode"
        ),
        pytest.param(
            HERMES,
            hermes('{"a": "\\ud800"}'),
            "",
            [("weather", '{"a": "\\ud800"}')],
            id="half a pair",
        ),
        pytest.param(LLAMA, PYTHON, "", [GO_ROME], id="Llama: a call"),
        pytest.param(LLAMA, f"\n{PYTHON}\n", "", [GO_ROME], id="Llama: among blanks"),
        pytest.param(LLAMA, f"{PYTHON}\nSo.", "\nSo.", [GO_ROME], id="Llama: text after"),
        pytest.param(LLAMA, f"So: {PYTHON}", f"So: {PYTHON}", [], id="Llama: text before"),
        pytest.param(LLAMA, ' {"a": 1} x', ' {"a": 1} x', [], id="Llama: another object"),
        pytest.param(LLAMA, " {x} y ", " {x} y ", [], id="Llama: no object"),
        pytest.param(LLAMA, PYTHON[:-3], PYTHON[:-3], [], id="Llama: cut"),
    ],
)
def test_the_same_comes_of_a_text_however_it_is_split(
    format: CallFormat, answer: str, text: str, calls: list[tuple[str, str]]
) -> None:
    assert told([answer], format) == (text, calls)
    assert told(answer, format) == (text, calls)
    for at in range(len(answer)):
        assert told([answer[:at], answer[at:]], format) == (text, calls), at


@pytest.mark.parametrize(
    ("format", "answer", "text"),
    [(HERMES, f"{CALL}\n{NOW}", f"\n{NOW}"), (LLAMA, f"{PYTHON}; {PYTHON}", f"; {PYTHON}")],
)
def test_after_the_only_call_all_is_text(format: CallFormat, answer: str, text: str) -> None:
    for pieces in ([answer], list(answer)):
        assert told(pieces, format, single=True) == (text, [GO_ROME])


def test_only_what_may_be_a_call_is_held_back() -> None:
    reader = CallReader(HERMES, {"weather"}, single=False)

    def after(text: str) -> list[str]:
        items = reader.read(Delta(0, text, 1))
        return [i.text if isinstance(i, Delta) else type(i).__name__ for i in items]

    assert after("I ") == ["I"]
    assert after("am <") == [" am"]
    assert after("b> <tool") == [" <b>"]
    assert after("_call>") == [""]
    assert after(CALL[len("<tool_call>") : -1]) == [""]
    assert after(">") == ["", "ToolCall"]


def test_deep_and_endless_objects_are_text() -> None:
    for answer in (hermes('{"a": ' * 100_000), hermes('{"a":' + "[" * 9_999 + "]" * 9_999 + "}")):
        assert told([answer[:-1], answer[-1]], HERMES) == (answer, [])


@pytest.mark.parametrize(
    ("template", "format"),
    [
        (tool_templates.QWEN, HERMES),
        (tool_templates.LLAMA, LLAMA),
        ("<tool_call>\n<function=name> arguments", None),
        ("[TOOL_CALLS]", None),
        ("{{ tools }}", None),
    ],
)
def test_the_format_is_read_off_the_template(template: str, format: CallFormat | None) -> None:
    assert format_of(template) == format


def use(format: CallFormat = HERMES, *tools: dict[str, Any], **options: bool) -> ToolUse:
    given = {"required": False, "single": not format.several, **options}
    offered = tuple(Tool.model_validate(tool) for tool in tools or (WEATHER, CLOCK))
    return ToolUse(offered, format=format, **given)


STRICT = {"type": "function", "function": {**WEATHER["function"], "strict": True}}  # type: ignore[dict-item]
ANSWER = ResponseFormat.model_validate(
    {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": [["yes"]]}}}
)
BAD = CALL.replace("Rome", "Oslo")
BAD_PYTHON = PYTHON.replace("Rome", "Oslo")
ODD = CALL.replace("Rome", '}\\n//\\"é')


@pytest.mark.parametrize(
    ("of", "answer", "may", "may_not"),
    [
        pytest.param(
            use(required=True),
            None,
            [CALL, NOW, f"{CALL}\n{NOW}", "\n".join([NOW] * MOST_CALLS), ODD],
            ["", "Hello", BAD, f"x{CALL}", "\n".join([NOW] * (MOST_CALLS + 1)), f"{CALL}x"],
            id="required",
        ),
        pytest.param(
            use(HERMES, WEATHER, required=True, single=True),
            None,
            [CALL],
            ["", NOW, BAD, f"{CALL}\n{CALL}"],
            id="the one that is named",
        ),
        pytest.param(
            use(HERMES, STRICT, CLOCK),
            None,
            ["", "Hello <tool", CALL, f"I look {CALL}", f"{CALL}\n{NOW} So.", NOW],
            ["<tool_call>x", BAD],
            id="strict",
        ),
        pytest.param(
            use(HERMES, STRICT, CLOCK, single=True),
            None,
            ["", "Hello", f"I look {CALL}"],
            [BAD, f"{CALL}\n{NOW}", f"{CALL}."],
            id="strict, one",
        ),
        pytest.param(
            use(), ANSWER, ['["yes"]', CALL, f"{CALL}\n{NOW}"], ["", "Hello"], id="or an answer"
        ),
        pytest.param(
            use(LLAMA, required=True),
            None,
            [PYTHON, '{"name": "clock", "parameters": {}}'],
            ["", "Hello", BAD_PYTHON, '{"name": "clock", "parameters": {"a": 1}}', f"{PYTHON};"],
            id="Llama: required",
        ),
        pytest.param(
            use(LLAMA, STRICT, CLOCK),
            None,
            ["", " Hello {x", PYTHON],
            [BAD_PYTHON, "{x", " {x"],
            id="Llama: strict",
        ),
    ],
)
def test_the_grammar_lets_through_calls_that_are_valid(
    of: ToolUse, answer: ResponseFormat | None, may: list[str], may_not: list[str]
) -> None:
    grammar = asyncio.run(of.grammar(answer))
    assert grammar is not None
    assert [follows(grammar, text) for text in may] == [True] * len(may), may
    assert [follows(grammar, text) for text in may_not] == [False] * len(may_not), may_not
    if of.format == HERMES:
        marked = replace(of, format=replace(HERMES, tokens=TOKENS))
        grammar = asyncio.run(marked.grammar(answer)) or ""
        for text in may:
            assert follows(grammar, text, marked=True), text
            assert follows(grammar, f"<think>{text}", marked=True) == (spelled(of, answer)), text
        assert not any(follows(grammar, text, marked=True) for text in may_not)
    for text in may:
        _, calls = told([text], of.format, single=of.single)
        assert len(calls) == text.count('"name"')


def spelled(of: ToolUse, answer: ResponseFormat | None) -> bool:
    """May there be any text?"""
    return not of.required and answer is None


def tokenizer() -> Tokenizer:
    """Of bytes, and of the tags as Qwen's tokenizer has them: tokens, but no special ones."""
    alphabet = sorted(ByteLevel.alphabet())
    made = Tokenizer(BPE({character: id for id, character in enumerate(alphabet)}, []))
    made.pre_tokenizer, made.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    made.add_special_tokens(["<|im_end|>"])
    made.add_tokens([*TOKENS])
    return made


TOKENS = ("<tool_call>", "</tool_call>", "<think>")
MARKED = tokenizer()
END = MARKED.token_to_id("<|im_end|>")
BYTES_AND_TAGS = LLTokenizer(MARKED.to_str(), eos_token=END)
BYTES = LLTokenizer("byte")


def follows(grammar: str, *texts: str, marked: bool = False) -> bool:
    """May they be the whole answer? ``marked``: each in the tokens that a model would choose."""
    matcher = LLMatcher(BYTES_AND_TAGS if marked else BYTES, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    for token in [
        t for text in texts for t in (MARKED.encode(text).ids if marked else text.encode())
    ]:
        allowed = np.frombuffer(matcher.compute_logit_bias(), np.uint8)
        if not allowed[token]:
            return False
        matcher.consume_token(token)
        assert not matcher.is_error(), matcher.get_error()
    return matcher.is_accepting()


def test_a_marker_that_is_spelled_out_opens_a_call_too() -> None:
    grammar = asyncio.run(use(replace(HERMES, tokens=TOKENS), STRICT).grammar(None)) or ""
    assert follows(grammar, "So <", CALL[1:], marked=True)
    assert not follows(grammar, "So <", BAD[1:], marked=True)


def test_without_a_need_there_is_no_grammar() -> None:
    assert asyncio.run(use().grammar(None)) is None
    assert asyncio.run(use().grammar(ResponseFormat(type="text"))) is None


def of_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "odd", "parameters": parameters}}


@pytest.mark.parametrize(
    ("tool", "format", "answer", "param", "says"),
    [
        (of_parameters({"properties": {"a": {"type": "no"}}}), HERMES, None, "tools", "of odd: "),
        (of_parameters({"properties": {"a": {"not": {}}}}), HERMES, None, "tools", "of odd: "),
        (of_parameters({"enum": ["x" * 70_000]}), HERMES, None, "tools", "longer than"),
        (WEATHER, LLAMA, ANSWER, "response_format", "look like answers in JSON"),
    ],
)
def test_what_no_grammar_can_say_is_refused(
    tool: dict[str, Any], format: CallFormat, answer: ResponseFormat | None, param: str, says: str
) -> None:
    with pytest.raises(ToolsRefused, match=f"{param}: .*{says}") as caught:
        asyncio.run(use(format, tool, required=True).grammar(answer))
    assert caught.value.param == param


@pytest.mark.parametrize(("ended", "reason"), [("stop", "tool_calls"), ("length", "length")])
def test_an_answer_with_calls_is_told_as_openai_does(ended: FinishReason, reason: str) -> None:
    reader, choice = CallReader(HERMES, {"weather"}, single=False), Choice()
    answer = Answer("m", chat=True)
    chunks = []
    for item in (Delta(0, f"I look.\n{CALL}\n{CALL}", 9), Finish(0, ended)):
        for found in reader.read(item):
            choice.take(found)
            match found:
                case ToolCall():
                    chunks.append(answer.call(found))
                case Delta():
                    chunks.append(answer.chunk(found))
                case Finish():
                    chunks.append(answer.last(found))
    whole = answer.whole([choice], Usage(1, 0, 9))["choices"][0]
    ids = [call["id"] for call in whole["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    calls = [
        {"id": id, "type": "function", "function": {"name": GO_ROME[0], "arguments": GO_ROME[1]}}
        for id in ids
    ]
    message = {"role": "assistant", "content": "I look.", "tool_calls": calls}
    assert (whole["message"], whole["finish_reason"]) == (message, reason)
    told = [chunk["choices"][0] for chunk in chunks]
    assert [choice["delta"] for choice in told] == [
        {"content": "I look."},
        {"tool_calls": [{"index": 0, **calls[0]}]},
        {"tool_calls": [{"index": 1, **calls[1]}]},
        {},
    ]
    assert [choice["finish_reason"] for choice in told] == [None, None, None, reason]


def test_content_is_null_beside_calls_alone() -> None:
    reader, choice = CallReader(LLAMA, {"weather"}, single=True), Choice()
    for item in (Delta(0, PYTHON, 9), Finish(0, "stop")):
        for found in reader.read(item):
            choice.take(found)
    whole = Answer("m", chat=True).whole([choice], Usage(1, 0, 9))
    assert whole["choices"][0]["message"]["content"] is None
