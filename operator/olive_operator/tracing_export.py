"""Sending spans by OTLP over HTTP, from a thread of its own. Imported only where it is asked for.

What the receiver does not take is dropped: no job waits for its trace. OTEL_EXPORTER_OTLP_HEADERS
and the other variables of OpenTelemetry's exporter hold.
"""

import logging
from datetime import datetime
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from olive_operator import tracing
from olive_operator.api import status as api
from olive_operator.api.seen import JobSeen
from olive_operator.labels import FIELD_MANAGER

log = logging.getLogger("olive.tracing")

_SECONDS: Final = 3.0
"""For a batch, with its retries: at the end, nobody waits much longer for the receiver."""

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class Exporter:
    """Sends to ``endpoint``, the receiver's base URL."""

    def __init__(self, endpoint: str) -> None:
        url = f"{endpoint.rstrip('/')}/v1/traces"
        exporter = OTLPSpanExporter(url, timeout=_SECONDS)
        self._batches = BatchSpanProcessor(exporter)
        self._resource = Resource.create({"service.name": FIELD_MANAGER})

    def ended(self, job: JobSeen, after: api.Status, at: datetime) -> None:
        """Send what ends with this status, soon. A job goes on whatever is wrong with its trace."""
        try:
            for span in tracing.ended(job, after, at):
                self._batches.on_end(self._readable(span))
        except Exception:
            log.exception("%s/%s: no trace of its last status", job.namespace, job.name)

    def close(self) -> None:
        """Send what is left, as far as the receiver takes it within seconds."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: tracing.Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=_context(span.trace, span.id),
            parent=_context(span.trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
        )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=_SAMPLED)


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1000
