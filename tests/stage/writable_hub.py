"""The side of a hub that is written to, on localhost: repositories, commits, and storage by oid.

As the real one does, it knows a large file by its SHA-256 and asks for none that it has, takes a
commit only on the head that it says it follows, and keeps large files at another host, behind
signed addresses.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from standin_hub import LARGE, TOKEN

OWNER = "team"
"""Whom the token may write for."""
SIGNATURE = "X-Signature=secret-of-the-storage"
HIDDEN = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}


@dataclass
class Repository:
    """Branches by name, and the files of every commit."""

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: Mapping[str, bytes]) -> str:
        """A new head of the branch that has exactly these files."""
        commit = hashlib.sha1(f"{branch} {len(self.commits)}".encode()).hexdigest()  # noqa: S324
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.commits[self.branches.get(revision, revision)]


@dataclass
class Refusal:
    """What the next requests that ``request`` matches get; a status of 0 breaks the connection."""

    request: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    times: int = 1


@dataclass
class WritableHub:
    """Repositories by ``owner/name``, and the storage that all of them share."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    storage: dict[str, bytes] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    after_look: list[Callable[[], object]] = field(default_factory=list)
    """What happens right after somebody's look at a branch: one for each."""
    answers_lost: int = 0
    """Of so many commits the answer does not arrive."""
    damages: bool = False
    """What is stored is listed as something else."""
    ignored: str = ""
    """A file that the repository's .gitignore names."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def made(self, name: str, files: Mapping[str, bytes]) -> Repository:
        """A repository that somebody has made already."""
        repository = self.repositories[name] = Repository(private=False)
        repository.commit("main", files)
        return repository

    def uploaded(self) -> list[str]:
        """SHA-256 of what was sent to the storage."""
        return [line.split("/")[-1] for line in self.asked if line.startswith("PUT /storage/")]

    def commits(self) -> int:
        """How many commits were asked for."""
        return sum("/commit/" in line for line in self.asked)


Answer = tuple[int, Mapping[str, str], bytes]


@contextmanager
def serving(hub: WritableHub) -> Iterator[WritableHub]:
    """The hub, answering on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            line = f"{self.command} {path}"
            hub.asked.append(line)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, sent = answer(hub, line, body, self.headers)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(sent)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent if self.command != "HEAD" else b"")

        do_HEAD = do_POST = do_PUT = do_GET

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def answer(hub: WritableHub, line: str, body: bytes, headers: Any) -> Answer:
    """The answer to ``METHOD /path``."""
    for refusal in hub.refusals:
        if refusal.times and re.match(refusal.request, line):
            refusal.times -= 1
            return refusal.status, refusal.headers, refusal.body
    if match := re.fullmatch(r"PUT /storage/(\w+)", line):
        return stored(hub, match[1], body)
    known = headers.get("Authorization") == f"Bearer {TOKEN}"
    if line == "POST /api/validate-yaml":
        return said({"errors": [], "warnings": []})
    if line == "POST /api/repos/create":
        return created(hub, json.loads(body), known)
    pattern = r"(?:GET|HEAD|POST) /(?:api/models/)?([^/]+/[^/.]+)(?:/|\.git/info/)(.+)"
    match = re.fullmatch(pattern, line)
    name, rest = (match[1], match[2]) if match else ("", "")
    repository = hub.repositories.get(name)
    if repository is None or (repository.private and not known):
        return (404 if known else 401), HIDDEN, b""
    return of_repository(hub, repository, name, rest, body, known)


def of_repository(
    hub: WritableHub, repository: Repository, name: str, rest: str, body: bytes, known: bool
) -> Answer:
    """What is below a repository's own address."""
    what, _, revision = rest.partition("/")
    revision = unquote(revision)
    if what == "revision":
        return listing(hub, repository, name, revision)
    if what == "resolve":
        commit, _, path = revision.partition("/")
        sent = repository.files(commit)[path]
        etag = f'"{hashlib.sha256(sent).hexdigest()}"'
        return 200, {"X-Repo-Commit": commit, "ETag": etag}, sent
    if not known or not name.startswith(f"{OWNER}/"):
        return 403, {"X-Error-Message": "Forbidden"}, b""
    if what == "branch":
        if revision in repository.branches:
            return 409, {}, b""
        repository.commit(revision, repository.files())
        return said({})
    if what == "preupload":
        return preupload(hub, json.loads(body))
    if what == "lfs":
        return batch(hub, json.loads(body))
    if what == "commit":
        return committed(hub, repository, name, revision, body)
    return 404, {}, b""


def created(hub: WritableHub, asked: dict[str, Any], known: bool) -> Answer:
    name = f"{asked['organization']}/{asked['name']}"
    if not known or asked["organization"] != OWNER:
        return (403 if known else 401), {"X-Error-Message": "You don't have the rights"}, b""
    if name in hub.repositories:
        return 409, {}, json.dumps({"url": f"{hub.address}/{name}"}).encode()
    hub.made(name, {".gitattributes": b"*.onnx filter=lfs"})
    hub.repositories[name].private = asked["visibility"] == "private"
    return said({"url": f"{hub.address}/{name}"})


def listing(hub: WritableHub, repository: Repository, name: str, revision: str) -> Answer:
    if revision not in repository.branches and revision not in repository.commits:
        return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b""
    siblings = []
    for path, body in repository.files(revision).items():
        entry: dict[str, Any] = {"rfilename": path, "size": len(body), "blobId": "0" * 40}
        if len(body) >= LARGE:
            sha256 = hashlib.sha256(body + b"!" * hub.damages).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(body), "pointerSize": 130}
        siblings.append(entry)
    commit = repository.branches.get(revision, revision)
    if revision in repository.branches and hub.after_look:
        hub.after_look.pop(0)()
    return said({"id": name, "sha": commit, "siblings": siblings, "tags": []})


def preupload(hub: WritableHub, asked: dict[str, Any]) -> Answer:
    """Which files are large."""
    files = [
        {
            "path": file["path"],
            "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
            "shouldIgnore": file["path"] == hub.ignored,
        }
        for file in asked["files"]
    ]
    return said({"files": files})


def batch(hub: WritableHub, asked: dict[str, Any]) -> Answer:
    """Where to put what the storage has not."""
    storage = hub.address.replace("127.0.0.1", "localhost")
    objects: list[dict[str, Any]] = []
    for wanted in asked["objects"]:
        told = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in hub.storage:
            href = f"{storage}/storage/{wanted['oid']}?{SIGNATURE}"
            told["actions"] = {"upload": {"href": href, "header": {}}}
        objects.append(told)
    return said({"transfer": "basic", "objects": objects})


def stored(hub: WritableHub, oid: str, body: bytes) -> Answer:
    if hashlib.sha256(body).hexdigest() != oid:
        return 400, {}, b""
    hub.storage[oid] = body
    return 200, {}, b""


def committed(
    hub: WritableHub, repository: Repository, name: str, branch: str, body: bytes
) -> Answer:
    """A commit of the operations, if the head is the one that they follow."""
    header, *operations = [json.loads(line) for line in body.splitlines()]
    if header["value"]["parentCommit"] != repository.branches[branch]:
        return 412, {"X-Error-Message": "A commit has happened since. Please refresh"}, b""
    files = repository.files(branch).copy()
    for operation in operations:
        value = operation["value"]
        match operation["key"]:
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                files[value["path"]] = hub.storage[value["oid"]]
            case "deletedFile":
                del files[value["path"]]
    commit = repository.commit(branch, files)
    if hub.answers_lost:
        hub.answers_lost -= 1
        return 0, {}, b""
    return said({"commitUrl": f"{hub.address}/{name}/commit/{commit}", "commitOid": commit})


def said(body: Any) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
