"""Chat templates as models bring them."""

import json
from pathlib import Path
from typing import Any

import pytest
import tool_templates

from olive_serve.chat_template import ChatTemplate, ChatTemplateError
from olive_serve.schema import ChatRequest
from olive_serve.tool_calls import HERMES, LLAMA

HELLO = [{"role": "user", "content": "hello"}]
ASKED: dict[str, Any] = {
    "model": "base",
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "strict": True,
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ],
    "messages": [
        {"role": "user", "content": "Rome? "},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Róma"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "warm"}]},
    ],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def of(folder: Path, template: object = None, **config: Any) -> ChatTemplate:
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return ChatTemplate.of_model(folder)


def test_special_tokens_are_at_hand(tmp_path: Path) -> None:
    template = "{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}"
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None}
    assert of(tmp_path, template, **tokens).render(HELLO) == "<s>hello</s>"


def test_the_file_of_its_own_wins(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ messages | tojson }}")
    assert json.loads(of(tmp_path, "other").render(HELLO)) == HELLO


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    several = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    assert of(tmp_path, several).render(HELLO) == "d"


def test_blocks_take_no_lines_and_loops_can_be_left(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}\n  {% if loop.first %}\nx\n{% break %}{% endif %}{% endfor %}"
    )
    assert of(tmp_path, template).render(HELLO) == "x\n"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "has no chat template"),
        ("{% if %}", "cannot be read"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ messages[0]['content'] + 1 }}", "can only concatenate"),
    ],
)
def test_what_cannot_be_rendered_is_said(
    tmp_path: Path, template: str | None, message: str
) -> None:
    with pytest.raises(ChatTemplateError, match=message):
        of(tmp_path, template).render(HELLO)


def rendered(template: ChatTemplate, **given: Any) -> str:
    body = ChatRequest.model_validate({**ASKED, **given})
    return template.render(body.turns, [tool.for_template() for tool in body.offered])


def test_tools_and_calls_as_qwen_knows_them(tmp_path: Path) -> None:
    template = of(tmp_path, tool_templates.QWEN)
    assert template.calls == HERMES
    before, _, after = rendered(template).partition("</tools>")
    assert json.loads(before.partition("<tools>")[2]) == WEATHER
    assert after.partition("<|im_end|>\n")[2] == (
        "<|im_start|>user\nRome? <|im_end|>\n"
        '<|im_start|>assistant\n<tool_call>\n{"name": "weather", "arguments": {"city": "Róma"}}\n'
        "</tool_call><|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nwarm\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_tools_and_calls_as_llama_knows_them(tmp_path: Path) -> None:
    template = of(tmp_path, tool_templates.LLAMA)
    assert template.calls == LLAMA
    before, _, after = rendered(template).partition("<|eot_id|>")
    assert json.loads(before.partition("value}.\n\n")[2]) == WEATHER
    assert after == (
        "<|start_header_id|>user<|end_header_id|>\n\nRome?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        '{"name": "weather", "parameters": {"city": "Róma"}}<|eot_id|>'
        '<|start_header_id|>ipython<|end_header_id|>\n\n{"output": "warm"}<|eot_id|>'
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


@pytest.mark.parametrize("given", [{"tool_choice": "none"}, {"tools": []}, {"tools": None}])
def test_without_tools_the_template_is_told_of_none(tmp_path: Path, given: dict[str, Any]) -> None:
    template = of(tmp_path, "{{ tools is none }} {{ messages[2].name }}")
    assert rendered(template, **given) == "True weather"


def test_smollm_has_a_name_of_its_own_for_tools(tmp_path: Path) -> None:
    template = of(tmp_path, "{{ xml_tools[0].function.name }} <tool_call> arguments")
    assert template.calls == HERMES
    assert rendered(template).startswith("weather")


def test_a_template_for_tools_is_taken_for_them(tmp_path: Path) -> None:
    several = [
        {"name": "tool_use", "template": "t{{ tools }}<tool_call> arguments"},
        {"name": "default", "template": "d"},
    ]
    template = of(tmp_path, several)
    assert (template.render(HELLO), template.calls) == ("d", HERMES)
    assert rendered(template).startswith("t[")
    folder = tmp_path / "additional_chat_templates"
    folder.mkdir()
    (folder / "tool_use.jinja").write_text("of its own {{ tools }}")
    assert rendered(of(tmp_path, "d")).startswith("of its own")


def test_calls_or_answers_of_tools_need_a_template_that_has_them(tmp_path: Path) -> None:
    with pytest.raises(ChatTemplateError, match="no place for tools") as caught:
        rendered(of(tmp_path, "{{ messages }}"), tools=None)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages }}", "no place for tools"),
        ("{{ tools }} [TOOL_CALLS]", "a way that is not known here"),
        ("{{ tools }} <tool_call> arguments", "<tool_call> is a special token"),
        (None, "has no chat template"),
    ],
)
def test_what_calls_cannot_be_read_is_said(
    tmp_path: Path, template: str | None, message: str
) -> None:
    tokens = [{"content": "<tool_call>", "special": True}, {"content": "</tool_call>"}]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens, "model": {}}))
    with pytest.raises(ChatTemplateError, match=message) as caught:
        _ = of(tmp_path, template).calls
    assert caught.value.param == "tools"


def test_the_tokens_that_grammars_must_name_are_known(tmp_path: Path) -> None:
    special = [{"content": "<|im_end|>", "special": True}, {"content": "[x]"}, {"content": "< x>"}]
    tokens = [{"content": "<tool_call>"}, {"content": "<think>", "special": False}, *special]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens, "model": {}}))
    assert of(tmp_path, tool_templates.QWEN).calls.tokens == ("<tool_call>", "<think>")


def test_what_assistants_say_is_marked_for_training_alone(tmp_path: Path) -> None:
    template = "a{% generation %}\nb{% endgeneration %}{{ [1] | tojson(ensure_ascii=False) }}"
    assert of(tmp_path, template).render(HELLO) == "ab[1]"
