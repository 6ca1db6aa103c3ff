"""Answers that follow a JSON schema, whatever the model would rather say."""

import json
from typing import Any

import openai
import pytest
from server_process import ServerProcess

CITY = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Rome", "Bern"]},
        "open": {"type": "boolean"},
        "days": {"type": "array", "items": {"enum": ["Mo", "Tu"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["city", "open", "days"],
    "additionalProperties": False,
}
ASK: dict[str, Any] = {"model": "travel", "messages": [{"role": "user", "content": "-"}]}


def format_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("model", ["base", "travel"])
def test_every_choice_follows_the_schema_and_ends(
    server: ServerProcess, model: str, temperature: float
) -> None:
    answer = server.openai.chat.completions.create(
        **{**ASK, "model": model}, n=3, temperature=temperature, response_format=format_of(CITY)
    )
    for choice in answer.choices:
        found = json.loads(choice.message.content or "")
        assert found["city"] in ("Rome", "Bern")
        assert isinstance(found["open"], bool)
        assert set(found["days"]) <= {"Mo", "Tu"}
        assert choice.finish_reason == "stop"


def test_the_schema_holds_beside_answers_without_one(server: ServerProcess) -> None:
    with server.long_stream():
        answer = server.openai.chat.completions.create(**ASK, response_format=format_of(CITY))
        assert json.loads(answer.choices[0].message.content or "")["city"] in ("Rome", "Bern")
        assert server.complete("travel") == "Rome!"


def test_any_object_is_json_as_far_as_it_goes(server: ServerProcess) -> None:
    answer = server.openai.chat.completions.create(
        **ASK, max_tokens=20, temperature=0, response_format={"type": "json_object"}
    )
    assert (answer.choices[0].message.content or "").startswith("{")


def test_log_probabilities_tell_only_of_what_was_allowed(server: ServerProcess) -> None:
    schema = {"enum": [True]}
    answer = server.openai.chat.completions.create(
        **ASK, logprobs=True, top_logprobs=5, response_format=format_of(schema)
    )
    told = answer.choices[0].logprobs
    assert told
    assert told.content
    assert [token.token for token in told.content[:4]] == list("true")
    assert all(len(token.top_logprobs) == 1 for token in told.content[:4])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (format_of({"type": "nonsense"}), "response_format: .*Invalid type: nonsense"),
        (format_of({"not": {}}), "not"),
        (format_of({"enum": ["x" * 70_000]}), "longer than"),
        (format_of({"minimum": 10**30}), "not JSON serializable"),
        ({"type": "json_schema"}, "json_schema is needed"),
        ({"type": "yaml"}, "response_format"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    server: ServerProcess, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=says) as caught:
        server.openai.chat.completions.create(**ASK, response_format=given)  # type: ignore[call-overload]
    assert str(caught.value.param).startswith("response_format")
