"""The requests of OpenAI's API, as far as this server goes.

A field that would change the answer and is not supported is refused, unless it has the value that
changes nothing. Unknown fields are ignored, as vLLM does. Defaults are OpenAI's: temperature 1,
top_p 1, 16 tokens for a completion, and for a chat as many as fit.
"""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from olive_serve.response_format import ResponseFormat
from olive_serve.sampling_params import SamplingParams
from olive_serve.tool_calls import CallFormat
from olive_serve.tool_use import ToolUse
from olive_serve.tools import NamedTool, Tool, ToolChoice, Tools
from olive_serve.turns import Message


def _only(*values: Any, because: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is not None and value not in values:
            raise ValueError(because)
        return value

    return BeforeValidator(check)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _not_empty(value: list[str]) -> list[str]:
    if not all(value):
        raise ValueError("a stop string must not be empty")
    return value


Penalty = Annotated[float, Field(ge=-2, le=2)]
Stop = Annotated[
    list[Annotated[str, Field(max_length=1000)]],
    BeforeValidator(lambda value: [] if value is None else _as_list(value)),
    AfterValidator(_not_empty),
    Field(max_length=4),
]


class StreamOptions(BaseModel):
    """``stream_options``."""

    include_usage: bool = False


class Sampling(BaseModel):
    """What both kinds of request have in common."""

    model: Annotated[str, Field(max_length=253)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop = []
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    response_format: ResponseFormat | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = None

    @model_validator(mode="after")
    def _options_need_a_stream(self) -> "Sampling":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is allowed only with stream: true")
        return self

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.n or 1

    @property
    @abstractmethod
    def alternatives(self) -> int | None:
        """How many alternatives to tell of each token; None tells nothing."""

    @property
    @abstractmethod
    def prompt_field(self) -> str:
        """The field that has the prompt."""

    @property
    def sampling(self) -> SamplingParams:
        """How tokens are chosen; what is left out is OpenAI's default, or vLLM's."""
        return SamplingParams(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=max(self.top_k or 0, 0),
            min_p=self.min_p or 0.0,
            repetition_penalty=1.0 if self.repetition_penalty is None else self.repetition_penalty,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias=tuple((self.logit_bias or {}).items()),
            seed=self.seed,
            logprobs=self.alternatives,
        )

    @property
    def include_usage(self) -> bool:
        """Does the stream end with the usage?"""
        return self.stream_options is not None and self.stream_options.include_usage


def _one_prompt(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            return value[0]
        raise ValueError("one prompt per request is taken, as text")
    return value


class CompletionRequest(Sampling):
    """``POST /v1/completions``."""

    prompt: Annotated[str, BeforeValidator(_one_prompt)]
    echo: Annotated[Any, _only(False, because="echo is not supported")] = None
    best_of: Annotated[
        Any, _only(1, because="best_of is not supported; n gives several choices")
    ] = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    suffix: Annotated[Any, _only("", because="suffix is not supported")] = None

    @property
    def limit(self) -> int | None:
        """Most tokens of the answer; None: as many as fit."""
        return self.max_tokens if "max_tokens" in self.model_fields_set else 16

    @property
    def alternatives(self) -> int | None:
        return self.logprobs

    @property
    def prompt_field(self) -> str:
        return "prompt"


class ChatRequest(Sampling):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Tools = None
    tool_choice: ToolChoice = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[Any, _only([], because="functions are not supported; tools are")] = None

    @field_validator("tool_choice")
    @classmethod
    def _can_be_chosen(cls, choice: ToolChoice, info: ValidationInfo) -> ToolChoice:
        if choice in (None, "none", "auto") or "tools" not in info.data:
            return choice
        tools = [tool.function.name for tool in info.data["tools"] or []]
        if not tools:
            raise ValueError("there are no tools")
        if isinstance(choice, NamedTool) and choice.function.name not in tools:
            raise ValueError(f"there is no tool of the name {choice.function.name[:64]}")
        form = info.data.get("response_format")
        if form is not None and form.type != "text":
            raise ValueError("a call that is required leaves no room for a response_format")
        return choice

    @property
    def offered(self) -> list[Tool]:
        """The tools that the model is told of."""
        return [] if self.tool_choice == "none" else self.tools or []

    def tool_use(self, format: CallFormat) -> ToolUse:
        """What the answer may or must call, in the way that the model writes calls."""
        tools, choice = self.offered, self.tool_choice
        single = self.parallel_tool_calls is False or not format.several
        if isinstance(choice, NamedTool):
            tools = [tool for tool in tools if tool.function.name == choice.function.name]
            single = True
        required = choice not in (None, "auto")
        return ToolUse(tuple(tools), required=required, single=single, format=format)

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The messages as chat templates know them: a tool's has the name of its function too."""
        names = {call.id: call.function.name for m in self.messages for call in m.tool_calls or []}
        turns = [message.for_template() for message in self.messages]
        for turn in turns:
            if name := names.get(turn.get("tool_call_id", "")):
                turn["name"] = name
        return turns

    @property
    def limit(self) -> int | None:
        """Most tokens of the answer; None: as many as fit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def alternatives(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def prompt_field(self) -> str:
        return "messages"
