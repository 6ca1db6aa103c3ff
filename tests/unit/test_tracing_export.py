"""Spans as a receiver of OTLP over HTTP gets them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from builders import World
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from olive_operator import startup
from olive_operator.tracing_export import Exporter

OPERATOR = Path(startup.__file__).parents[1]
NO_SERVING = {"serve": None, "adapters": None, "evaluate": None}


class Receiver(HTTPServer):
    """It keeps what it is sent, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, ExportTraceServiceRequest]] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for _, request in self.got
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/x-protobuf"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def carry_on(world: World, exporter: Exporter, *stages: str) -> None:
    """The stages succeed, and an operator with this exporter writes what has come of it."""
    for stage in stages:
        before = world.seen.job
        world.finish(stage)
        exporter.ended(before, world.status, world.now)


def test_trace_goes_on_where_another_operator_takes_over() -> None:
    with receiver() as server:
        url, world = f"http://127.0.0.1:{server.server_port}/", World(**NO_SERVING)
        first = Exporter(url)
        before = world.seen.job
        first.ended(before, world.settle().status, world.now)
        carry_on(world, first, "fetch/model")
        first.close()
        second = Exporter(url)
        carry_on(world, second, "quantize", "export")
        second.close()
    assert {path for path, _ in server.got} == {"/v1/traces"}
    assert [span.name for span in server.spans] == [
        "fetch",
        "quantize",
        "export",
        "OptimizationJob",
    ]
    *attempts, root = server.spans
    assert {span.trace_id for span in server.spans} == {root.trace_id}
    assert {span.parent_span_id for span in attempts} == {root.span_id}
    assert root.parent_span_id == b""
    assert len({span.span_id for span in server.spans}) == 4
    assert attempts[0].end_time_unix_nano - attempts[0].start_time_unix_nano == 10 * 10**9
    assert {span.status.code for span in server.spans} == {Status.STATUS_CODE_OK}
    told = {a.key: a.value.string_value for a in attempts[0].attributes}
    assert told["k8s.namespace.name"] == "ml"
    assert told["olive.stage.name"] == "fetch/model"
    resource = server.got[0][1].resource_spans[0].resource
    assert "olive-operator" in {a.value.string_value for a in resource.attributes}


def test_receiver_that_is_not_there_is_told_of_and_waited_for_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiver() as server:
        gone = f"http://127.0.0.1:{server.server_port}"
    world = World(**NO_SERVING).settle()
    exporter = Exporter(gone)
    carry_on(world, exporter, "fetch/model")
    exporter.close()
    assert "Connection" in caplog.text


def test_status_that_makes_no_span_does_not_end_the_pass(caplog: pytest.LogCaptureFixture) -> None:
    world = World(**NO_SERVING).settle()
    exporter, before = Exporter("http://127.0.0.1:9"), world.seen.job
    world.finish("fetch/model")
    broken = replace(world.stage("fetch/model"), finishedAt="yesterday")
    exporter.ended(before, replace(world.status, stages=(broken,)), world.now)
    exporter.close()
    assert "ml/travel: no trace of its last status" in caplog.text


async def test_without_an_endpoint_nothing_is_told() -> None:
    world = World(**NO_SERVING).settle()
    async with startup._tracing("") as trace:
        trace(world.seen.job, world.status, world.now)


async def test_what_was_told_is_sent_before_the_end() -> None:
    with receiver() as server:
        world = World(**NO_SERVING).settle()
        async with startup._tracing(f"http://127.0.0.1:{server.server_port}") as trace:
            before = world.seen.job
            trace(before, world.finish("fetch/model").status, world.now)
    assert [span.name for span in server.spans] == ["fetch"]


def test_operator_without_tracing_does_not_load_what_sends_it() -> None:
    loaded = "import sys, olive_operator.__main__; print('opentelemetry' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, cwd=OPERATOR
    )
    assert done.stdout == "False\n", done.stderr
