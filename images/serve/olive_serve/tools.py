"""The tools that a client offers in a chat, and its choice among them."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)


def _object(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if schema and schema.get("type", "object") != "object":
        raise ValueError("a function's parameters are of type object")
    return schema


class Function(BaseModel):
    """``tools[].function``."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: Annotated[dict[str, Any] | None, AfterValidator(_object)] = None
    strict: bool | None = None


class Tool(BaseModel):
    """One of ``tools``."""

    type: Literal["function"]
    function: Function

    @property
    def schema_of_arguments(self) -> dict[str, Any]:
        """OpenAI: a function without parameters takes none."""
        none = {"properties": {}, "additionalProperties": False}
        return {"type": "object", **(self.function.parameters or none)}

    def for_template(self) -> dict[str, Any]:
        """As transformers describes a function to a template: always with all three."""
        function = {
            "name": self.function.name,
            "description": self.function.description or "",
            "parameters": self.function.parameters or {"type": "object", "properties": {}},
        }
        return {"type": "function", "function": function}


class ChosenFunction(BaseModel):
    """The one that is named."""

    name: str


class NamedTool(BaseModel):
    """A ``tool_choice`` that names the tool."""

    type: Literal["function"]
    function: ChosenFunction


def _choice(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        form = '{"type": "function", "function": {"name": …}}'
        raise ValueError(f"should be none, auto, required or {form}") from None


def _different(tools: list[Tool] | None) -> list[Tool] | None:
    names = [tool.function.name for tool in tools or []]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"there are two functions of the name {twice}")
    return tools


Tools = Annotated[list[Tool] | None, Field(max_length=128), AfterValidator(_different)]
ToolChoice = Annotated[
    Literal["none", "auto", "required"] | NamedTool | None, WrapValidator(_choice)
]
