"""Chat templates as models bring them."""

import json
from pathlib import Path
from typing import Any

import pytest

from olive_serve.chat_template import ChatTemplate, ChatTemplateError

HELLO = [{"role": "user", "content": "hello"}]


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
    ],
)
def test_what_cannot_be_rendered_is_said(
    tmp_path: Path, template: str | None, message: str
) -> None:
    with pytest.raises(ChatTemplateError, match=message):
        of(tmp_path, template).render(HELLO)
