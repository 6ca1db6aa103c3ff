"""A stand-in API server with objects in it, and the command line in front of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from olive_cli.__main__ import main
from olive_cli.terminal import clock

from .jobs import NOW
from .standin import Asked, StandIn, served
from .test_cluster import kubeconfig

JSON = "application/json"
OLIVE = "/apis/olive-operator.io/v1alpha1"


def at(*parts: str, base: str = OLIVE, namespace: str = "ml") -> str:
    """The path of a namespace's objects, or of one of them."""
    return "/".join([f"{base}/namespaces/{namespace}", *parts])


@dataclass
class Objects:
    """``lists``: objects by the path of their list. ``texts``: answers of other paths, as they are.

    What is in neither is not found: of a kind that it lacks the API server says plain text.
    """

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    texts: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> tuple[int, str, str]:
        if asked.path in self.texts:
            return self.texts[asked.path][0], JSON, self.texts[asked.path][1]
        if asked.path in self.lists:
            return 200, JSON, json.dumps({"kind": "List", "items": self.lists[asked.path]})
        where, _, name = asked.path.rpartition("/")
        for body in self.lists.get(where, ()):
            if body["metadata"]["name"] == name:
                return 200, JSON, json.dumps(body)
        if where in self.lists:
            return 404, JSON, json.dumps({"kind": "Status", "reason": "NotFound"})
        return 404, "text/plain", "404 page not found\n"


def namespace(**lists: list[dict[str, Any]]) -> Objects:
    """Namespace ml with these objects: ``optimizationjobs``, ``artifacts``, ``events``, …"""
    bases = {"events": "/api/v1", "pods": "/api/v1", "jobs": "/apis/batch/v1"}
    found = {"optimizationjobs": [], "artifacts": [], "events": [], "pods": [], "jobs": [], **lists}
    return Objects({at(kind, base=bases.get(kind, OLIVE)): items for kind, items in found.items()})


@dataclass
class Ended:
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass
class Olive:
    """``kubectl olive`` in a folder with a kubeconfig, at a fixed instant."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    stand_in: StandIn | None = None

    @contextmanager
    def facing(self, objects: Objects) -> Iterator["Olive"]:
        """With an API server that has these objects."""
        with served(objects) as api:
            kubeconfig(self.folder, api.url)
            yield Olive(self.folder, self.capsys, api)

    def __call__(self, *words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--kubeconfig", str(self.folder / "kubeconfig")])
        said = self.capsys.readouterr()
        out = "\n".join(line.rstrip() for line in said.out.splitlines())
        return Ended(int(ended.value.code or 0), out, said.err.strip())

    def asked(self, objects: Objects, *words: str) -> Ended:
        """One command, with these objects."""
        with self.facing(objects) as olive:
            return olive(*words)


def olive_at(
    now: datetime,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str],
) -> Olive:
    """As a person types it at that instant, on a screen of 110 columns."""
    monkeypatch.setattr(clock, "now", lambda: now)
    for name, value in {"COLUMNS": "110", **environment}.items():
        monkeypatch.setenv(name, value)
    return Olive(folder, capsys)


__all__ = ["JSON", "NOW", "Ended", "Objects", "Olive", "at", "namespace", "olive_at"]
