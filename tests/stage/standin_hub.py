"""A hub and a web server on localhost that answer, redirect and refuse as the real ones do.

Only what ``huggingface_hub`` asks: a repository's files at a revision, and each file by HEAD and
GET; large files come by a redirect with the linked size and ETag, as from LFS storage.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_the_test"
LARGE = 1000
"""Bytes from which a file is kept in LFS."""


@dataclass
class Repository:
    """Its files, and how it is protected."""

    files: dict[str, bytes]
    gated: bool = False
    private: bool = False
    damaged: bool = False


@dataclass
class StandinHub:
    """Repositories by ``models/owner/name`` or ``datasets/owner/name``; requests as they came."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    """After how many bytes the answer for a path breaks off."""
    endless: set[str] = field(default_factory=set)
    """Paths whose pages are sent again and again."""
    stalled: set[str] = field(default_factory=set)
    """Paths whose answers begin and never go on."""
    asking: threading.Event = field(default_factory=threading.Event)
    """Set when somebody waits for one of them."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def downloads(self) -> list[str]:
        """The files whose bytes were asked for."""
        return [
            line.split("/")[-1] for line in self.asked if re.match(r"GET .*(resolve|cdn)/", line)
        ]


@contextmanager
def serving(hub: StandinHub) -> Iterator[StandinHub]:
    """The hub, answering on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            self.answer(*respond(hub, self.path, self.headers))

        do_HEAD = do_GET

        def answer(self, code: int, headers: dict[str, str], body: bytes) -> None:
            endless = self.path.split("?")[0] in hub.endless
            self.send_response(code)
            length = {} if endless else {"Content-Length": str(len(body))}
            for name, value in {**length, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.close_connection = endless
            with suppress(OSError):  # who asked has had enough
                while endless:
                    self.wfile.write(body)
            if endless:
                return
            if self.command == "GET" and self.path in hub.stalled:
                hub.asking.set()
                closing.wait()
            sent = body[: hub.cuts.get(self.path.split("?")[0], len(body))]
            if self.command == "GET":
                self.wfile.write(sent)
            self.close_connection = int(headers.get("Content-Length", len(body))) != len(sent)

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asked was stopped
                super().handle()

        def log_message(self, *args: Any) -> None:
            pass

    closing = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


Answer = tuple[int, dict[str, str], bytes]


def respond(hub: StandinHub, path: str, headers: Any) -> Answer:
    """The answer to a request for ``path``."""
    path = path.split("?")[0]
    if path in hub.pages:
        return ranged(hub.pages[path], headers)
    if match := re.match(r"/api/((?:models|datasets)/[^/]+/[^/]+)/revision/([^/]+)$", path):
        return guarded(hub, match[1], match[2], headers, lambda repo: listing(match[1], repo))
    if match := re.match(r"/cdn/((?:models|datasets)/[^/]+/[^/]+)/(.+)$", path):
        repository = hub.repositories[match[1]]
        body = repository.files[match[2]]
        return 200, {}, body[::-1] if repository.damaged else body
    if match := re.match(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$", path):
        name = f"{match[1] or 'models/'}{match[2]}"
        return guarded(hub, name, match[3], headers, lambda repo: file(hub, name, repo, match[4]))
    return 404, {}, b"not found"


def ranged(page: Answer, headers: Any) -> Answer:
    """The page, or the part of it that is asked for, if it is still the page that was begun."""
    code, own, body = page
    match = re.match(r"bytes=(\d+)-$", headers.get("Range", ""))
    if code != 200 or not match or own.get("ETag", "") != headers.get("If-Range"):
        return page
    start = int(match[1])
    if start >= len(body):
        return 416, {}, b""
    return 206, {**own, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:]


def guarded(hub: StandinHub, name: str, revision: str, headers: Any, then: Any) -> Answer:
    """The real hub's refusals, and otherwise what ``then`` makes of the repository."""
    known = headers.get("Authorization") == f"Bearer {TOKEN}"
    repository = hub.repositories.get(name)
    if repository is None or (repository.private and not known):
        code = 404 if known else 401  # the hub does not tell strangers what exists
        return (
            code,
            {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"},
            b"",
        )
    if repository.gated:
        return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, b""
    if revision not in ("main", COMMIT):
        return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b""
    answer: Answer = then(repository)
    return answer


def listing(name: str, repository: Repository) -> Answer:
    """The repository's files with sizes, and SHA-256 of the large ones."""
    siblings = []
    for path, body in repository.files.items():
        entry: dict[str, Any] = {"rfilename": path, "size": len(body), "blobId": "0" * 40}
        if len(body) >= LARGE:
            sha256 = hashlib.sha256(body).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(body), "pointerSize": 130}
        siblings.append(entry)
    info = {"id": name.split("/", 1)[1], "sha": COMMIT, "siblings": siblings, "tags": []}
    return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()


def file(hub: StandinHub, name: str, repository: Repository, path: str) -> Answer:
    """A small file itself; a large one by redirect."""
    if path not in repository.files:
        return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
    body = repository.files[path]
    digest = hashlib.sha256(body).hexdigest()
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"'}
    if len(body) < LARGE:
        return 200, headers, body
    linked = {"X-Linked-Size": str(len(body)), "X-Linked-Etag": f'"{digest}"'}
    elsewhere = hub.address.replace("127.0.0.1", "localhost")
    return 302, {**headers, **linked, "Location": f"{elsewhere}/cdn/{name}/{path}"}, b""
