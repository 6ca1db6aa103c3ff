"""What is kept of one request: its metrics and its line in the log, without a word of its text."""

import logging
import time

from olive_serve.engine import Delta, Finish
from olive_serve.logs import fields
from olive_serve.metrics import Metrics

log = logging.getLogger(__name__)

CLIENT_GONE = 499
"""nginx's status for a client that closed the connection; it stands in the log alone."""


class Record:
    """When what happened to one request: its metrics and its line in the log."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics = metrics
        self._model = model
        self._begin = self._last = time.monotonic()
        self._first: float | None = None
        self._tokens = 0
        self._finish: Finish | None = None
        self.prompt_tokens = 0
        self.status = 0

    def note(self, item: Delta | Finish) -> None:
        """A piece of the answer came."""
        now, model = time.monotonic(), self._model
        if isinstance(item, Finish):
            if item.usage is not None:
                self._finish, self.status = item, 200
            return
        self._tokens += item.tokens
        self._metrics.generation_tokens.labels(model).inc(item.tokens)
        if self._first is None:
            self._first = now - self._begin
            self._metrics.prompt_tokens.labels(model).inc(self.prompt_tokens)
            self._metrics.first_token.labels(model).observe(self._first)
        else:
            self._metrics.between_tokens.labels(model).observe((now - self._last) / item.tokens)
        self._last = now

    def close(self, id: str, *, stream: bool) -> None:
        """The request is over, one way or another."""
        seconds = time.monotonic() - self._begin
        if self._finish is not None and self._first is not None:
            self._metrics.success.labels(self._model, self._finish.reason).inc()
            self._metrics.whole.labels(self._model).observe(seconds)
            if self._tokens > 1:
                per_token = (self._last - self._begin - self._first) / (self._tokens - 1)
                self._metrics.per_token.labels(self._model).observe(per_token)
        log.info(
            "request",
            extra=fields(
                id=id,
                model=self._model,
                stream=stream,
                status=self.status or CLIENT_GONE,
                finishReason=self._finish.reason if self._finish else None,
                promptTokens=self.prompt_tokens,
                completionTokens=self._tokens,
                firstTokenSeconds=None if self._first is None else round(self._first, 4),
                seconds=round(seconds, 4),
            ),
        )
