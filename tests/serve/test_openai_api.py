"""What a client of OpenAI's API may rely on."""

from string import ascii_lowercase
from typing import Any

import httpx
import openai
import pytest
from server_process import ServerProcess, until

HELLO: list[Any] = [{"role": "user", "content": "hello"}]


def test_models_are_the_base_and_every_adapter_with_their_keys(server: ServerProcess) -> None:
    models = {m.id: m.to_dict() for m in server.openai.models.list()}
    assert set(models) == {"base", "travel", "unicode", "endless"}
    assert (models["base"]["root"], models["base"]["parent"]) == (server.job.base, None)
    assert models["travel"]["root"] == server.job.adapter("Rome!")
    assert models["travel"]["parent"] == "base"
    assert server.openai.models.retrieve("travel").to_dict() == models["travel"]


def test_a_completion_has_text_usage_and_finish_reason(server: ServerProcess) -> None:
    answer = server.openai.completions.create(
        model="base", prompt="xa", max_tokens=5, temperature=0
    )
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("bcdef", "length")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 5)
    assert answer.usage.total_tokens == 7


def test_a_completion_has_16_tokens_unless_told_otherwise(server: ServerProcess) -> None:
    answer = server.openai.completions.create(model="base", prompt="a", temperature=0)
    assert answer.choices[0].text == ascii_lowercase[1:17]


def test_a_chat_goes_through_the_models_template(server: ServerProcess) -> None:
    answer = server.openai.chat.completions.create(
        model="base", messages=HELLO, max_completion_tokens=3, temperature=0
    )
    assert answer.choices[0].message.content == "abc"
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len("\nhello\n\n") + len(["user", "end", "assistant"])


def test_content_in_parts_is_one_text(server: ServerProcess) -> None:
    parts: list[Any] = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    whole, split = (
        server.openai.chat.completions.create(
            model="travel", messages=[{"role": "user", "content": content}]
        ).usage
        for content in ("hello", parts)
    )
    assert whole == split


def test_the_adapter_is_chosen_by_the_models_name(server: ServerProcess) -> None:
    answers = {m: server.complete(m) for m in ("base", "travel", "unicode")}
    assert answers == {"base": "abcdefghijklmnop", "travel": "Rome!", "unicode": "é🙂日!"}


def test_an_answer_that_ends_by_itself_says_stop(server: ServerProcess) -> None:
    answer = server.openai.chat.completions.create(model="travel", messages=HELLO)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Rome!", "stop")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len("Rome!") + 1


@pytest.mark.parametrize("model", ["base", "travel", "unicode"])
def test_a_streamed_chat_is_the_whole_one_in_pieces(server: ServerProcess, model: str) -> None:
    options: dict[str, Any] = {
        "model": model,
        "messages": HELLO,
        "max_tokens": 40,
        "temperature": 0,
    }
    whole = server.openai.chat.completions.create(**options)
    chunks = list(
        server.openai.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        )
    )
    *pieces, usage = chunks
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in pieces)
    assert text == whole.choices[0].message.content
    assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert (usage.choices, usage.usage) == ([], whole.usage)
    assert len({c.id for c in chunks}) == 1


def test_a_streamed_completion_is_the_whole_one_in_pieces(server: ServerProcess) -> None:
    stream = server.openai.completions.create(
        model="base", prompt="a", max_tokens=60, temperature=0, stream=True
    )
    assert "".join(c.choices[0].text for c in stream) == server.complete("base", "a", max_tokens=60)


def test_characters_of_several_tokens_arrive_whole(server: ServerProcess) -> None:
    stream = server.openai.completions.create(
        model="unicode", prompt="-", temperature=0, stream=True
    )
    pieces = [c.choices[0].text for c in stream]
    assert "".join(pieces) == "é🙂日!"
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)


def test_a_character_cut_by_the_limit_is_left_out(server: ServerProcess) -> None:
    assert server.complete("unicode", max_tokens=len("é".encode()) + 3) == "é"


@pytest.mark.parametrize(
    ("stop", "text"),
    [("e", "bcd"), (["zz", "fgh"], "bcde"), (["hij", "gh"], "bcdef"), ("xq", "bcdefghijklmnopq")],
)
def test_the_text_ends_before_the_first_stop_string(
    server: ServerProcess, stop: str | list[str], text: str
) -> None:
    options: dict[str, Any] = {"model": "base", "prompt": "a", "temperature": 0, "stop": stop}
    whole = server.openai.completions.create(**options).choices[0]
    pieces = [c.choices[0] for c in server.openai.completions.create(**options, stream=True)]
    assert whole.text == text == "".join(p.text for p in pieces)
    assert whole.finish_reason == pieces[-1].finish_reason == ("length" if stop == "xq" else "stop")


def test_a_seed_makes_sampling_repeatable(server: ServerProcess) -> None:
    def sample(seed: int) -> str:
        return server.complete("base", temperature=2, seed=seed, max_tokens=40)

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_top_p_cuts_the_unlikely(server: ServerProcess) -> None:
    assert server.complete("base", "a", temperature=1, top_p=0.1) == ascii_lowercase[1:17]


def test_long_prompts_are_read_in_chunks_with_the_same_result(server: ServerProcess) -> None:
    assert server.complete("base", "hello " * 500 + "a") == ascii_lowercase[1:17]


def test_a_short_request_is_answered_beside_a_long_one(server: ServerProcess) -> None:
    with server.long_stream():
        assert server.complete("travel") == "Rome!"
        assert server.metric("vllm:num_requests_running") == 1


def test_an_unknown_model_is_404_and_names_the_known(server: ServerProcess) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        server.complete("paris")
    assert error.value.code == "model_not_found"
    assert "Available: base, endless, travel, unicode" in error.value.message


def test_a_context_too_long_is_400_with_the_numbers(server: ServerProcess) -> None:
    with pytest.raises(openai.BadRequestError, match="500000 tokens") as error:
        server.complete("base", "ab", max_tokens=499_999)
    assert (error.value.code, error.value.param) == ("context_length_exceeded", "prompt")
    assert "500001 tokens (2 in the prompt, 499999 in the completion)" in error.value.message


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 0),
        ("n", 17),
        ("temperature", 3),
        ("temperature", "warm"),
        ("top_p", 0),
        ("max_tokens", 0),
        ("logprobs", 6),
        ("min_p", 2),
        ("top_k", -2),
        ("repetition_penalty", 0),
        ("logit_bias", {"260000": 1}),
        ("logit_bias", {"-1": 1}),
        ("echo", True),
        ("stop", ["a"] * 5),
        ("stop", ""),
        ("presence_penalty", 2.5),
        ("prompt", ["a", "b"]),
    ],
)
def test_what_is_wrong_or_not_supported_is_400_naming_the_field(
    server: ServerProcess, param: str, value: object
) -> None:
    body = {"model": "base", "prompt": "a", param: value}
    answer = server.http.post("/v1/completions", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")


def test_several_choices_are_drawn_from_one_prompt(server: ServerProcess) -> None:
    asked = {"model": "base", "prompt": "hello a", "max_tokens": 8, "seed": 3, "temperature": 2.0}
    answer = server.openai.completions.create(n=3, extra_body={"top_k": 200}, **asked)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.text for choice in answer.choices}) > 1
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 24)
    stream = server.openai.completions.create(
        n=3, stream=True, extra_body={"top_k": 200}, stream_options={"include_usage": True}, **asked
    )
    texts, ends = ["", "", ""], 0
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            ends += choice.finish_reason is not None
    assert texts == [choice.text for choice in answer.choices]
    assert (ends, chunk.usage and chunk.usage.completion_tokens) == (3, 24)


def test_more_choices_than_can_be_computed_are_refused(server: ServerProcess) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        server.openai.completions.create(model="base", prompt="a", n=16)
    assert error.value.code == "too_many_choices"


def test_logprobs_of_a_chat_and_of_a_completion(server: ServerProcess) -> None:
    chat = server.openai.chat.completions.create(
        model="travel",
        messages=[{"role": "user", "content": "where?"}],
        temperature=0,
        max_tokens=2,
        logprobs=True,
        top_logprobs=2,
    )
    told = chat.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert [token.token for token in told.content] == ["R", "o"]
    assert [len(token.top_logprobs) for token in told.content] == [2, 2]
    assert told.content[0].top_logprobs[0].token == "R"
    assert -0.01 < told.content[0].logprob <= 0
    text = server.openai.completions.create(
        model="travel", prompt="-", temperature=0, max_tokens=2, logprobs=1
    )
    scores = text.choices[0].logprobs
    assert scores is not None
    assert (scores.tokens, scores.text_offset) == (["R", "o"], [0, 1])


def test_a_penalty_and_a_bias_change_what_is_said(server: ServerProcess) -> None:
    assert server.complete("base", "a", max_tokens=3) == "bcd"
    biased = server.complete("base", "a", max_tokens=3, logit_bias={str(ord("x")): 50})
    assert biased == "xxx"
    freed = {"logit_bias": {str(ord("x")): 50}, "frequency_penalty": 2, "max_tokens": 30}
    assert set(server.complete("base", "a", **freed)) > {"x"}


def test_a_prompt_that_was_read_before_is_told_as_cached(server: ServerProcess) -> None:
    prompt = "the same beginning of more than sixteen tokens, "
    for rest, cached in (("one", 0), ("two", len(prompt))):
        answer = server.openai.completions.create(model="base", prompt=prompt + rest, max_tokens=1)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        assert answer.usage.prompt_tokens_details.cached_tokens == cached


def test_what_changes_nothing_is_taken(server: ServerProcess) -> None:
    neutral = {"n": 1, "best_of": 1, "presence_penalty": 0, "echo": False, "user": "someone"}
    body = {"model": "base", "prompt": "a", **neutral}
    assert server.http.post("/v1/completions", json=body).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/completions", "{", "invalid_json"),
        ("/v1/completions", "[]", "invalid_value"),
        ("/v1/completions", '{"model": "base", "prompt": ""}', "invalid_prompt"),
        ("/v1/chat/completions", '{"model": "base", "messages": []}', "invalid_value"),
        (
            "/v1/chat/completions",
            '{"model": "base", "messages": [{"role": "tool", "content": ""}]}',
            "invalid_value",
        ),
    ],
)
def test_a_wrong_body_is_400_in_openais_form(
    server: ServerProcess, path: str, body: str, code: str
) -> None:
    answer = server.http.post(path, content=body)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == code


def test_a_path_that_is_none_is_404_in_openais_form(server: ServerProcess) -> None:
    assert server.http.get("/v1/engines").json()["error"]["type"] == "invalid_request_error"


def test_metrics_have_vllms_names(server: ServerProcess) -> None:
    before = server.metric("vllm:generation_tokens_total", model_name="travel")
    server.complete("travel", "abc")
    until(lambda: server.metric("vllm:num_requests_running", model_name="base") == 0)
    assert server.metric("vllm:generation_tokens_total", model_name="travel") - before == 6
    for name, labels in [
        ("vllm:prompt_tokens_total", {}),
        ("vllm:request_success_total", {"finished_reason": "stop"}),
        ("vllm:time_to_first_token_seconds_count", {}),
        ("vllm:e2e_request_latency_seconds_count", {}),
        ("vllm:request_time_per_output_token_seconds_count", {}),
    ]:
        assert server.metric(name, model_name="travel", **labels) > 0, name
    assert server.metric("vllm:lora_requests_info", max_lora="3") > 0


def test_metrics_tell_which_adapters_run(server: ServerProcess) -> None:
    info, running = "vllm:lora_requests_info", {"running_lora_adapters": "endless"}
    with server.long_stream("endless"):
        until(lambda: server.metric(info, **running) > 0)
        until(lambda: server.metric("vllm:kv_cache_usage_perc") > 0)
        assert server.metric("vllm:num_requests_waiting") == 0
    until(lambda: server.metric(info, **running) == 0)


def test_metrics_do_not_grow_with_what_clients_invent(server: ServerProcess) -> None:
    with pytest.raises(openai.NotFoundError):
        server.complete("made-up-name")
    assert "made-up-name" not in httpx.get(f"{server.url}/metrics", trust_env=False).text
