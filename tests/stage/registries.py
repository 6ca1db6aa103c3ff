"""A real OCI registry on localhost, a front before it that misbehaves, and a place for tokens."""

import base64
import datetime
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lab import REPOSITORY

USER, PASSWORD, IDENTITY = "pusher", "letmein", "identity-of-the-test"
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuKwWV7ESJpzKzf9FQg57dBvMuv92X9HS\n"
SERVICE, ISSUER = "registry of the test", "tokens of the test"


@contextmanager
def registry(folder: Path, auth: Mapping[str, Any] | None = None) -> Iterator[str]:
    """HOST:PORT of a registry that keeps its blobs in ``folder``; a skip where there is no Go."""
    program = _program()
    host = f"127.0.0.1:{_free_port()}"
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}},
        "http": {"addr": host, "secret": "of the test"},
    }
    if auth:
        config["auth"] = auth
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while not _listens(host):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield host
    finally:
        process.kill()
        process.wait()


def with_password(folder: Path) -> dict[str, Any]:
    """Only USER with PASSWORD is let in."""
    (folder / "htpasswd").write_text(HTPASSWD)
    return {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}


def _program() -> str:
    if not shutil.which("go"):
        pytest.skip("this machine has no Go to build the registry with")
    command = [sys.executable, REPOSITORY / "hack" / "cluster", "tool", "registry"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _listens(host: str) -> bool:
    name, port = host.split(":")
    with socket.socket() as tried:
        return tried.connect_ex((name, int(port))) == 0


@dataclass
class Answer:
    """What the front says itself to the next ``times`` requests that ``request`` matches."""

    request: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    times: int = 1


@dataclass
class Cut:
    """After so many bytes of a body the front breaks off, once, on both sides."""

    request: str
    after: int


@dataclass
class Front:
    """Hands requests on to the registry ``behind``, but for what it is told to do itself."""

    behind: str
    host: str = ""
    answers: list[Answer] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    challenge: str = ""
    """The WWW-Authenticate of a 401 to whoever shows no Authorization."""
    asked: list[str] = field(default_factory=list)
    """``METHOD path`` of each request, and its Content-Range, if any."""
    shown: list[str] = field(default_factory=list)
    """The Authorization of each, empty for none."""

    def requests(self, pattern: str) -> list[str]:
        return [line for line in self.asked if re.match(pattern, line)]

    def own_answer(self, line: str, authorization: str) -> Answer | None:
        if self.challenge and not authorization:
            return Answer("", 401, {"WWW-Authenticate": self.challenge})
        for answer in self.answers:
            if answer.times and re.match(answer.request, line):
                answer.times -= 1
                return answer
        return None

    def cut(self, line: str) -> int | None:
        for cut in self.cuts:
            if re.match(cut.request, line):
                self.cuts.remove(cut)
                return cut.after
        return None


@contextmanager
def fronting(behind: str, name: str = "127.0.0.1") -> Iterator[Front]:
    """A front on a port of its own, by this name of the machine."""
    front = Front(behind)

    class Handler(_Quiet):
        def do_GET(self) -> None:
            line = f"{self.command} {self.path} {self.headers.get('Content-Range', '')}".strip()
            authorization = self.headers.get("Authorization", "")
            front.asked.append(line)
            front.shown.append(authorization)
            length = int(self.headers.get("Content-Length", 0))
            if own := front.own_answer(line, authorization):
                self.rfile.read(length)
                self.answer(own.status, own.headers, own.body)
                return
            self.hand_on(length, front.cut(line))

        do_HEAD = do_POST = do_PATCH = do_PUT = do_GET

        def hand_on(self, length: int, cut: int | None) -> None:
            upstream = http.client.HTTPConnection(front.behind, timeout=60)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for header, value in self.headers.items():
                upstream.putheader(header, value)
            upstream.endheaders()
            upstream.send(self.rfile.read(length if cut is None else cut))
            if cut is not None:
                upstream.close()
                self.close_connection = True
                return
            answer = upstream.getresponse()
            body = answer.read()
            self.answer(answer.status, dict(answer.getheaders()), body)
            upstream.close()

    with _serving(Handler) as port:
        front.host = f"{name}:{port}"
        yield front


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Tokens:
    """Gives out tokens to USER with PASSWORD, or for IDENTITY, for the scope that is asked for."""

    folder: Path
    realm: str = ""
    asked: list[str] = field(default_factory=list)
    """How each asked: ``GET`` with a password, ``POST`` with an identity token."""
    actions: tuple[str, ...] = ("pull", "push")
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def auth(self) -> dict[str, Any]:
        """The configuration of a registry that believes these tokens."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        (self.folder / "tokens.crt").write_bytes(pem)
        known = {"realm": self.realm, "service": SERVICE, "issuer": ISSUER}
        return {"token": {**known, "rootcertbundle": str(self.folder / "tokens.crt")}}

    def token(self, scope: str) -> str:
        kind, name, _ = scope.split(":")
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + 300, "nbf": now - 10}
        claims |= {"iat": now, "jti": str(now)}
        access = [{"type": kind, "name": name, "actions": list(self.actions)}]
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        headers = {"x5c": [base64.b64encode(der).decode()]}
        return jwt.encode({**claims, "access": access}, self.key, "ES256", headers)

    @cached_property
    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
        today = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), 1)
        builder = builder.not_valid_before(today - datetime.timedelta(days=1))
        builder = builder.not_valid_after(today + datetime.timedelta(days=1))
        return builder.sign(self.key, hashes.SHA256())


@contextmanager
def giving_tokens(folder: Path) -> Iterator[Tokens]:
    """The place on a port of its own."""
    tokens = Tokens(folder)
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(_Quiet):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            self.give(asked, self.headers.get("Authorization") == basic)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = parse_qs(body)
            self.give(asked, asked["refresh_token"] == [IDENTITY])

        def give(self, asked: dict[str, list[str]], known: bool) -> None:
            tokens.asked.append(self.command)
            if not known or asked["service"] != [SERVICE]:
                self.answer(401, {}, b"")
                return
            body = {"token": tokens.token(asked["scope"][0]), "expires_in": 300}
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    with _serving(Handler) as port:
        tokens.realm = f"http://127.0.0.1:{port}/token"
        yield tokens
