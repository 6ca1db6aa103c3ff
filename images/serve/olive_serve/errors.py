"""Errors as OpenAI writes them: ``{"error": {"message", "type", "param", "code"}}``."""

from typing import Any

from pydantic import ValidationError

from olive_serve.engine import EngineUnavailable


class ApiError(Exception):
    """An answer other than 200. ``retry_after`` in seconds, where trying again may help."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def headers(self) -> dict[str, str]:
        if self.status == 401:
            return {"WWW-Authenticate": "Bearer"}
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def of_validation(error: ValidationError) -> ApiError:
    """400 naming the first field that is wrong."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return ApiError(400, "invalid_json", f"The body is not JSON: {first['ctx']['error']}")
    param = ".".join(str(part) for part in first["loc"]) or None
    message = first["msg"].removeprefix("Value error, ")
    return ApiError(400, "invalid_value", f"{param or 'body'}: {message}", param=param)


def of_unavailable(error: EngineUnavailable) -> ApiError:
    """503: trying again may help."""
    return ApiError(503, "engine_unavailable", f"Try again: {error}.", retry_after=5)
