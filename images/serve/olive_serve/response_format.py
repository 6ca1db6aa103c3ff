"""What an answer must look like: OpenAI's ``response_format``, as a grammar of llguidance."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from llguidance import LLMatcher
from pydantic import BaseModel, Field, model_validator

if TYPE_CHECKING:  # only its stubs have it
    from llguidance._lib import JsonCompileOptions

SCHEMA_LIMIT: Final = 64 << 10
"""Bytes of a schema's grammar: reading one holds every answer up."""
WRITTEN: "Final[JsonCompileOptions]" = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
"""As Python's json writes it: small models lose themselves in blanks."""


class SchemaRefused(ValueError):  # noqa: N818 - an answer to the client, no fault
    """Nothing can be written by this schema; the text says why."""


class JsonSchema(BaseModel):
    """``response_format.json_schema``."""

    name: str = ""
    of: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormat(BaseModel):
    """``response_format``."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_one_is_named(self) -> "ResponseFormat":
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is needed with type json_schema")
        return self

    async def grammar(self) -> str | None:
        """What the answer must follow; None for any text. Raises SchemaRefused."""
        if self.type == "text":
            return None
        schema = self.json_schema.of if self.json_schema else {"type": "object"}
        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides=WRITTEN)
        except ValueError as error:  # a number beyond what JSON's readers take
            raise SchemaRefused(str(error)) from error
        if len(grammar) > SCHEMA_LIMIT:
            raise SchemaRefused(f"the schema is longer than {SCHEMA_LIMIT} bytes")
        if problem := await asyncio.to_thread(LLMatcher.validate_grammar, grammar):
            raise SchemaRefused(problem)
        return grammar
