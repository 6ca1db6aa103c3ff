"""The turns of a chat, as a client sends them and as chat templates know them."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, model_validator


def _joined(value: Any) -> Any:
    """OpenAI's list of content parts as one text."""
    if not isinstance(value, list):
        return value
    if any(not isinstance(p, dict) or p.get("type") != "text" for p in value):
        raise ValueError("only text can be read")
    return "".join(str(part.get("text", "")) for part in value)


def _arguments(value: str) -> str:
    try:
        arguments = json.loads(value or "{}")
        json.dumps(arguments, ensure_ascii=False).encode()  # escapes may make half a character
        if isinstance(arguments, dict):
            return value
    except (ValueError, RecursionError):
        pass
    raise ValueError("should be a JSON object, as text")


class CalledFunction(BaseModel):
    """A function that the assistant called, and with what."""

    name: str
    arguments: Annotated[str, AfterValidator(_arguments)]


class PastCall(BaseModel):
    """A call that the assistant made earlier in the chat."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction

    def for_template(self) -> dict[str, Any]:
        """As transformers gives it to a template: the arguments are an object."""
        arguments = json.loads(self.function.arguments or "{}")
        function = {"name": self.function.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


class Message(BaseModel):
    """One turn of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_joined)] = None
    tool_calls: list[PastCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _what_the_role_needs(self) -> "Message":
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant has tool_calls")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool needs the tool_call_id that it answers")
        if self.content is None and not self.tool_calls:
            raise ValueError("content is needed")
        return self

    def for_template(self) -> dict[str, Any]:
        """As chat templates know it: OpenAI's ``developer`` is their ``system``."""
        role = "system" if self.role == "developer" else self.role
        made: dict[str, Any] = {"role": role, "content": self.content or ""}
        if self.tool_calls:
            made["tool_calls"] = [call.for_template() for call in self.tool_calls]
        if self.role == "tool":
            made["tool_call_id"] = self.tool_call_id
        return made
