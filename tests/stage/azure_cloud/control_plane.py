"""The stand-in of Azure's control plane, over HTTPS: metadata, Entra ID, Azure Machine Learning.

It answers as the services do, or misbehaves as a test asks, and keeps what it was asked.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from answers import Answer, Request, refused, unauthenticated
from certificates import Certificate
from entra import Entra
from resources import Resources

SECRET_HEADERS = ("authorization", "cookie")


@dataclass
class Misbehaviour:
    """What happens `times` times to requests of this method whose path has this in it.

    ``cut``: the connection ends ``before`` the request is carried out, or ``after`` it, so that
    the client cannot know. ``slow``: the answer waits for so many seconds.
    """

    method: str
    path: str
    times: int = 1
    status: int | None = None
    retry_after: int | None = None
    slow: float = 0
    cut: Literal["before", "after"] | None = None


@dataclass(frozen=True)
class Asked:
    """A request as it came, without what is secret in its headers, and what it was answered.

    A status of 0: the connection ended without an answer.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int


@dataclass
class ControlPlane:
    """Where the parts are, by the name of the host that a request is for."""

    manager: str
    metadata: list[dict[str, Any]]
    entra: Entra
    resources: Resources
    asked: list[Asked] = field(default_factory=list)
    misbehaviours: list[Misbehaviour] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def misbehave(self, method: str, path: str, **how: Any) -> None:
        """From now on, and for so many requests: see `Misbehaviour`."""
        self.misbehaviours.append(Misbehaviour(method, path, **how))

    def forget(self) -> None:
        """Begin anew: for another test."""
        self.asked.clear()
        self.misbehaviours.clear()
        self.resources.forget()

    def lines(self) -> list[str]:
        """What was asked of Azure Machine Learning: method and path behind the provider's name."""
        found = (one for one in self.asked if "/providers/" in one.path or "/registry" in one.path)
        return [f"{a.method} {a.path.rpartition('/providers/')[2]} {a.status}" for a in found]

    def respond(self, request: Request) -> Answer:
        """The answer of the service that lives at the request's host."""
        if request.host.startswith("login."):
            return self.entra.respond(request)
        if request.path == "/metadata/endpoints":
            return Answer(200, self.metadata)
        client = self.entra.client(request.headers.get("authorization", ""))
        if client is None:
            return unauthenticated()
        known = Request(**{**vars(request), "client": client})
        return self.resources.respond(known)

    def mischief(self, method: str, path: str) -> Misbehaviour | None:
        """What is to happen to this request, once less from now on."""
        for one in self.misbehaviours:
            if one.times and one.method == method and one.path in path:
                one.times -= 1
                return one
        return None

    def carry_out(self, request: Request) -> Answer | None:
        """Do what is asked, well or badly; None: the connection ends."""
        with self.lock:
            fault = self.mischief(request.method, request.path)
        if fault and fault.slow:
            self.closing.wait(fault.slow)
        if fault and fault.cut == "before":
            return None
        if fault and fault.status is not None:
            after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            code = "TooManyRequests" if fault.status == 429 else "ServiceError"
            text = "The request rate is too high." if fault.status == 429 else "InternalServerError"
            return Answer(fault.status, refused(fault.status, code, text).body, after)
        with self.lock:
            answer = self.respond(request)
        return None if fault and fault.cut == "after" else answer


@contextmanager
def serving(plane: ControlPlane, certificate: Certificate) -> Iterator[int]:
    """The control plane on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            host, path = headers.get("host", ""), unquote(parts.path)
            query = dict(parse_qsl(parts.query))
            body = self.rfile.read(length)
            answer = plane.carry_out(Request(self.command, host, path, query, headers, body))
            shown = {k: "***" if k in SECRET_HEADERS else v for k, v in headers.items()}
            status = answer.status if answer else 0
            plane.asked.append(Asked(self.command, path, parts.query, shown, status))
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            sent = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            about = {"Content-Type": "application/json; charset=utf-8", **answer.headers}
            for name, value in {**about, "Content-Length": str(len(sent))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_request

        def handle(self) -> None:
            with suppress(OSError):  # who asked has gone
                super().handle()

        def log_message(self, *args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        plane.closing.set()
        server.shutdown()
        server.server_close()
