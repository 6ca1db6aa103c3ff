"""Calls of tools, as OpenAI's client sees them; tests/serve/test_tool_calls.py has the reading."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import tiny_model
import tool_templates
from server_process import ServedJob, ServerProcess, until

CITIES = {
    "type": "object",
    "properties": {
        "city": {"$ref": "#/$defs/city"},
        "days": {"type": "array", "items": {"enum": ["Mo", "Tu"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
    "$defs": {"city": {"enum": ["Rome", "Bern"]}},
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a city.", "parameters": CITIES},
}
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "clock"}}
ASK: dict[str, Any] = {
    "model": "travel",
    "messages": [{"role": "user", "content": "-"}],
    "tools": [WEATHER, CLOCK],
}
THE_CLOCK: Any = {"type": "function", "function": {"name": "clock"}}
Serve = Callable[[str], ServerProcess]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A ready server of a model with the template of this name, and the adapter ``travel``."""
    servers: dict[str, ServerProcess] = {}

    def serve(name: str) -> ServerProcess:
        if name not in servers:
            job = ServedJob(tmp_path_factory.mktemp(name))
            template = getattr(tool_templates, name)
            job.base = tiny_model.export(job.store, name=name, template=template)
            job.serve(travel="Rome!")
            servers[name] = ServerProcess(job, "--max-model-len", "100000")
            until(servers[name].ready)
        return servers[name]

    yield serve
    for server in servers.values():
        server.process.kill()
        server.process.wait()


def checked(name: str, arguments: str) -> None:
    """Is the call what its schema says?"""
    found = json.loads(arguments)
    if name == "clock":
        assert found == {}
    else:
        assert (name, set(found)) == ("weather", {"city", "days"})
        assert found["city"] in ("Rome", "Bern")
        assert found["days"]
        assert set(found["days"]) <= {"Mo", "Tu"}


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("model", ["base", "travel"])
@pytest.mark.parametrize("template", ["QWEN", "LLAMA"])
def test_a_call_that_is_required_is_made_and_valid(
    serve: Serve, template: str, model: str, temperature: float, parallel: bool
) -> None:
    answer = serve(template).openai.chat.completions.create(
        **{**ASK, "model": model},
        n=2,
        temperature=temperature,
        tool_choice="required",
        parallel_tool_calls=parallel,
    )
    assert len(answer.choices) == 2
    for choice in answer.choices:
        calls = choice.message.tool_calls or []
        assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")
        assert 1 <= len(calls) <= (16 if parallel and template == "QWEN" else 1)
        assert len({call.id for call in calls}) == len(calls)
        for call in calls:
            assert call.type == "function"
            checked(call.function.name, call.function.arguments)


@pytest.mark.parametrize("template", ["QWEN", "LLAMA"])
def test_a_streamed_call_is_the_whole_one(serve: Serve, template: str) -> None:
    asked: dict[str, Any] = {**ASK, "n": 2, "temperature": 0, "tool_choice": "required"}
    client = serve(template).openai
    whole = client.chat.completions.create(**asked)
    made: dict[int, dict[int, list[str]]] = {0: {}, 1: {}}
    reasons, text = {}, ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason
            for call in choice.delta.tool_calls or []:
                parts = made[choice.index].setdefault(call.index, ["", ""])
                assert call.function
                parts[0] += call.function.name or ""
                parts[1] += call.function.arguments or ""
    assert (text, reasons) == ("", {0: "tool_calls", 1: "tool_calls"})
    for choice in whole.choices:
        calls = [
            [call.function.name, call.function.arguments]
            for call in choice.message.tool_calls or []
            if call.type == "function"
        ]
        assert [*made[choice.index].values()] == calls


def test_openais_own_reader_of_streams_puts_the_call_together(serve: Serve) -> None:
    with serve("QWEN").openai.chat.completions.stream(**ASK, tool_choice=THE_CLOCK) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls
    assert (message.tool_calls[0].function.name, message.tool_calls[0].function.arguments) == (
        "clock",
        "{}",
    )


def test_the_tool_that_is_named_is_called_once(serve: Serve) -> None:
    for template in ("QWEN", "LLAMA"):
        answer = serve(template).openai.chat.completions.create(**ASK, tool_choice=THE_CLOCK)
        calls = answer.choices[0].message.tool_calls or []
        assert [(c.function.name, c.function.arguments) for c in calls] == [("clock", "{}")]
        assert answer.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_an_answer_without_a_call_is_as_ever(serve: Serve, choice: str | None) -> None:
    asked: dict[str, Any] = {**ASK, "temperature": 0, "tool_choice": choice, "logprobs": True}
    client = serve("QWEN").openai
    answer = client.chat.completions.create(**asked).choices[0]
    assert (answer.message.content, answer.finish_reason) == ("Rome!", "stop")
    assert answer.message.tool_calls is None
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Rome!"
    logprobs = [t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert answer.logprobs
    assert logprobs == answer.logprobs.content


def test_a_strict_tool_is_called_as_it_must_be(serve: Serve) -> None:
    strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
    asked: dict[str, Any] = {**ASK, "model": "base", "tools": [strict], "temperature": 0}
    client = serve("LLAMA").openai
    free = client.chat.completions.create(**asked, max_tokens=3).choices[0]
    assert free.message.content == "abc"
    begun = client.chat.completions.create(**asked, logit_bias={str(ord("{")): 100}).choices[0]
    assert [call.function.name for call in begun.message.tool_calls or []] == ["weather"]
    for call in begun.message.tool_calls or []:
        checked(call.function.name, call.function.arguments)


def test_a_format_holds_for_answers_beside_calls(serve: Serve) -> None:
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"enum": [["Rome"]]}},
    }
    how: dict[str, Any] = {**ASK, "response_format": form, "logit_bias": {str(ord("[")): 100}}
    message = serve("QWEN").openai.chat.completions.create(**how).choices[0].message
    assert (message.tool_calls, message.content) == (None, '["Rome"]')


def test_a_call_that_is_cut_is_told_as_text(serve: Serve) -> None:
    answer = serve("QWEN").openai.chat.completions.create(
        **ASK, tool_choice="required", max_tokens=20
    )
    choice = answer.choices[0]
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", None)
    assert choice.message.content == '<tool_call>\n{"name":'[:20]


def test_the_chat_goes_on_with_what_the_tool_said(serve: Serve) -> None:
    for template in ("QWEN", "LLAMA"):
        client = serve(template).openai
        called = client.chat.completions.create(**ASK, tool_choice=THE_CLOCK).choices[0].message
        assert called.tool_calls
        told = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "noon"}
        turns = [*ASK["messages"], called.to_dict(), told]
        answer = client.chat.completions.create(**{**ASK, "messages": turns}, temperature=0)
        assert answer.choices[0].message.content == "Rome!"


def call_with(arguments: str) -> list[dict[str, Any]]:
    function = {"name": "clock", "arguments": arguments}
    call = {"id": "1", "type": "function", "function": function}
    return [*ASK["messages"], {"role": "assistant", "tool_calls": [call]}]


TOOL_WITHOUT_ID = [*ASK["messages"], {"role": "tool", "content": ""}]
ODD = {"type": "function", "function": {"name": "odd", "parameters": {"not": {}}}}
JSON: Any = {"type": "json_object"}


@pytest.mark.parametrize(
    ("given", "param", "says"),
    [
        pytest.param({"tools": [{"type": "x"}]}, "tools.0.type", "function", id="type"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools.0.function.name",
            "pattern",
            id="name",
        ),
        pytest.param({"tools": [CLOCK, CLOCK]}, "tools", "two functions of the name clock", id="2"),
        pytest.param({"tools": [CLOCK] * 129}, "tools", "at most 128", id="129"),
        pytest.param(
            {"tools": [{**CLOCK, "function": {"name": "a", "parameters": {"type": "string"}}}]},
            "tools.0.function.parameters",
            "of type object",
            id="parameters",
        ),
        pytest.param({"tool_choice": "maybe"}, "tool_choice", "none, auto, required or", id="?"),
        pytest.param(
            {"tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            "no tool of the name x",
            id="nobody",
        ),
        pytest.param(
            {"tools": None, "tool_choice": "required"}, "tool_choice", "no tools", id="no tools"
        ),
        pytest.param(
            {"tool_choice": "required", "response_format": JSON},
            "tool_choice",
            "no room for a response_format",
            id="format",
        ),
        pytest.param(
            {"tools": [ODD], "tool_choice": "required"}, "tools", "parameters of odd", id="schema"
        ),
        pytest.param({"messages": TOOL_WITHOUT_ID}, "messages.1", "tool_call_id", id="no id"),
        pytest.param(
            {"messages": [{**call_with("")[1], "role": "user", "content": ""}]},
            "messages.0",
            "only an assistant",
            id="a user's call",
        ),
        pytest.param(
            {"messages": call_with("[]")},
            "messages.1.tool_calls.0.function.arguments",
            "JSON object",
            id="arguments",
        ),
        pytest.param(
            {"messages": call_with('{"a": "\\ud800"}')},
            "messages.1.tool_calls.0.function.arguments",
            "JSON object",
            id="half a pair",
        ),
        pytest.param({"messages": [{"role": "assistant"}]}, "messages.0", "content", id="empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(
    serve: Serve, given: dict[str, Any], param: str, says: str
) -> None:
    answer = serve("QWEN").http.post("/v1/chat/completions", json={**ASK, **given})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert says in error["message"]


def test_a_format_beside_calls_that_look_like_it_is_refused(serve: Serve) -> None:
    with pytest.raises(openai.BadRequestError, match="look like answers in JSON") as caught:
        serve("LLAMA").openai.chat.completions.create(**ASK, response_format=JSON)
    assert caught.value.param == "response_format"


def test_what_the_template_refuses_is_said(serve: Serve) -> None:
    twice = call_with("{}")
    twice[1]["tool_calls"] *= 2
    with pytest.raises(openai.BadRequestError, match="single tool-calls") as caught:
        serve("LLAMA").openai.chat.completions.create(**{**ASK, "messages": twice})
    assert caught.value.param == "messages"


def test_a_model_without_tools_refuses_them(server: ServerProcess) -> None:
    with pytest.raises(openai.BadRequestError, match="no place for tools") as caught:
        server.openai.chat.completions.create(**ASK)
    assert caught.value.param == "tools"
    spared = server.openai.chat.completions.create(**ASK, tool_choice="none", temperature=0)
    assert spared.choices[0].message.content == "Rome!"
