"""Where a model, a data set or an adapter comes from: a ``source`` taken apart. Pure."""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from olive_stage.work import invalid

HUB = re.compile(
    r"hf://(?P<datasets>datasets/)?(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[^/@]+))?"
    r"(?:/(?P<file>.+))?$"
)
CLAIM = re.compile(r"pvc://(?P<claim>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(?:/(?P<path>.*))?$")

HTTP_HOSTS = "OLIVE_HTTP_HOSTS"
"""Environment: comma-separated hosts that may be read over plain http (a test's own server)."""


@dataclass(frozen=True)
class Hub:
    """A repository on a Hugging Face hub; ``file`` is given for data only."""

    repo: str
    revision: str
    file: str
    dataset: bool

    def __str__(self) -> str:
        return f"hf://{'datasets/' if self.dataset else ''}{self.repo}@{self.revision}"


@dataclass(frozen=True)
class Claim:
    """A file or folder on a PersistentVolumeClaim, mounted read-only below the sources' root."""

    claim: str
    path: str

    def __str__(self) -> str:
        return f"pvc://{self.claim}/{self.path}"


@dataclass(frozen=True)
class Web:
    """One file behind an address; what may be a signature in it is never shown."""

    url: str

    def __str__(self) -> str:
        return shown(self.url)


Source = Hub | Claim | Web


def parse(text: str, what: str) -> Source:
    """The source of a ``what`` (model, data or adapter); InvalidInput says what forms there are."""
    if match := CLAIM.match(text):
        return Claim(match["claim"], (match["path"] or "").strip("/"))
    if match := HUB.match(text):
        dataset, file = bool(match["datasets"]), match["file"] or ""
        if (what == "data") != bool(file) or (what != "data" and dataset):
            form = (
                "hf://datasets/owner/name[@revision]/file.jsonl"
                if what == "data"
                else "hf://owner/name[@revision]"
            )
            raise invalid(f"{text} is no source for {_article(what)}; write {form}")
        return Hub(match["repo"], match["revision"] or "main", file, dataset)
    if what == "data" and may_read(text):
        return Web(text)
    forms = "hf://owner/name[@revision] or pvc://claim/path"
    if what == "data":
        forms = "https://…, hf://datasets/owner/name[@revision]/file.jsonl or pvc://claim/path"
    raise invalid(f"{text} is no source for {_article(what)}; write {forms}")


def may_read(url: str) -> bool:
    """Whether the address is https, or http on a host that the environment allows."""
    parts = urlsplit(url)
    allowed = os.environ.get(HTTP_HOSTS, "").split(",")
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in allowed)
    )


def shown(url: str) -> str:
    """The address without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _article(what: str) -> str:
    return {"model": "a model", "adapter": "an adapter"}.get(what, what)
