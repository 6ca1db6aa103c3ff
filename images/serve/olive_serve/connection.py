"""HTTP connections that are given no more time and memory than an honest client needs."""

import asyncio
import json
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from olive_serve.errors import ApiError

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
HEAD_BYTES: Final = 64 << 10
"""Of a request line and its headers."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for headers without end."""

    _left = HEAD_BYTES
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._alarm is not None:
            self._left -= len(data)
            if self._left < 0:
                self._refuse(431, "headers_too_large", f"Headers of more than {HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._alarm is None:  # not the connection's first request
            self._await_head()

    def on_headers_complete(self) -> None:
        self._have_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "invalid_http", msg)

    def _await_head(self) -> None:
        self._left = HEAD_BYTES
        self._alarm = self.loop.call_later(HEAD_SECONDS, self._late)

    def _have_head(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _late(self) -> None:
        self._refuse(408, "request_timeout", f"No headers in {HEAD_SECONDS:g} seconds.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Say why in OpenAI's shape, and hang up."""
        self._have_head()
        if self.transport.is_closing():
            return
        body = json.dumps(ApiError(status, code, message).body).encode()
        head = [STATUS_LINE[status], b"content-type: application/json\r\n"]
        head += [b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)]
        self.transport.write(b"".join(head) + body)
        self.transport.close()
