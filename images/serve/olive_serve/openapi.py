"""``/openapi.json``: what the API takes and answers, from the models that check it."""

from typing import Any, Final

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from olive_serve.schema import ChatRequest, CompletionRequest

_ERRORS: Final = {
    "400": "The request is not what it must be; param names the field.",
    "401": "An API key is needed, and this is none.",
    "404": "There is no such model.",
    "413": "The body is too long.",
    "429": "Too many requests wait already; Retry-After says when to try again.",
    "500": "The engine failed at this request.",
    "503": "The model is being loaded, or the server is being stopped.",
}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    _, models = models_json_schema(
        [(CompletionRequest, "validation"), (ChatRequest, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "olive_serve", "version": "1", "license": {"name": "Apache-2.0"}},
        "paths": {
            "/v1/completions": {"post": _asked("CompletionRequest", "Continue a text.")},
            "/v1/chat/completions": {"post": _asked("ChatRequest", "Answer in a chat.")},
            "/v1/models": {"get": _told("The base and every adapter that is loaded.")},
            "/v1/models/{name}": {
                "get": _told("One of them."),
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
            },
        },
        "components": {
            "schemas": {**models["$defs"], "Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _asked(model: str, about: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model}"}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    told = _told(about)
    told["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return {**told, "requestBody": body}


def _told(about: str) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    answers: dict[str, Any] = {
        status: {"description": text, "content": error} for status, text in _ERRORS.items()
    }
    whole = {"application/json": {"schema": {"type": "object"}}}
    answers["200"] = {"description": "The answer.", "content": whole}
    return {"summary": about, "responses": answers}


async def _answer(request: Request) -> Response:
    return JSONResponse(document())


ROUTES: Final = [Route("/openapi.json", _answer)]
