"""Where a model, a data set or an adapter comes from: a ``source`` taken apart. Pure."""

import re
from dataclasses import dataclass

from olive_stage.address import may_read, shown
from olive_stage.work import invalid

HUB = re.compile(
    r"hf://(?P<datasets>datasets/)?(?P<repo>\w[\w.-]*/\w[\w.-]*?)(?:@(?P<revision>[^/@]+))?"
    r"(?:/(?P<file>.+))?$"
)
CLAIM = re.compile(r"pvc://(?P<claim>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(?:/(?P<path>.*))?$")
AZURE_ML = re.compile(
    r"azureml://(?:registries/(?P<registry>\w[\w.-]*)"
    r"|subscriptions/(?P<subscription>[\w-]+)/resourcegroups/(?P<group>[\w()-][\w.()-]*)"
    r"/workspaces/(?P<workspace>\w[\w.-]*))"
    r"(?:/models/(?P<model>\w[\w.-]*)/versions/(?P<version>\w[\w.-]*)"
    r"|/datastores/(?P<datastore>[\w-]+)/paths/(?P<path>.+))$",
    re.IGNORECASE,
)
BUCKET = re.compile(r"(?P<scheme>s3|az)://(?P<bucket>[A-Za-z0-9$][\w.-]{0,254})/(?P<path>.+)$")


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
class Bucket:
    """An object or a folder of objects, in an S3 bucket or a container of Azure Blob Storage."""

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.path}"


@dataclass(frozen=True)
class AzureML:
    """A model's version in a workspace or registry, or a path of a workspace's datastore."""

    text: str
    registry: str
    subscription: str
    group: str
    workspace: str
    model: str
    version: str
    datastore: str
    path: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Web:
    """One file behind an address; what may be a signature in it is never shown."""

    url: str

    def __str__(self) -> str:
        return shown(self.url)


Source = Hub | Claim | Bucket | AzureML | Web


FOLDERS = (
    "hf://owner/name[@revision], pvc://claim/path, s3://bucket/path, az://container/path or "
    "azureml://…"
)
FILES = (
    "https://…, hf://datasets/owner/name[@revision]/file.jsonl, pvc://claim/path, "
    "s3://bucket/path, az://container/path or azureml://…/datastores/name/paths/path"
)


def parse(text: str, what: str) -> Source:
    """The source of a ``what`` (model, data or adapter); InvalidInput says what forms there are."""
    if not text.isprintable():
        raise invalid(f"{text!r} is no source: it holds what cannot be printed")
    if match := CLAIM.match(text):
        return Claim(match["claim"], (match["path"] or "").strip("/"))
    if match := HUB.match(text):
        dataset, file = bool(match["datasets"]), match["file"] or ""
        if (what == "data") != bool(file) or (what != "data" and dataset) or _climbs(file):
            form = (
                "hf://datasets/owner/name[@revision]/file.jsonl"
                if what == "data"
                else "hf://owner/name[@revision]"
            )
            raise invalid(f"{text} is no source for {_article(what)}; write {form}")
        return Hub(match["repo"], match["revision"] or "main", file, dataset)
    if match := AZURE_ML.match(text):
        return _azure_ml(text, match, what)
    match = BUCKET.match(text)
    if match and not _climbs(path := match["path"].strip("/")):
        return Bucket(match["scheme"], match["bucket"], path)
    if what == "data" and may_read(text):
        return Web(text)
    forms = FILES if what == "data" else FOLDERS
    raise invalid(f"{shown(text)} is no source for {_article(what)}; write {forms}")


def _azure_ml(text: str, match: re.Match[str], what: str) -> AzureML:
    parts = {name: found or "" for name, found in match.groupdict().items()}
    if _climbs(parts["path"].strip("/")) or (what == "data" and not parts["path"]):
        raise invalid(
            f"{text} is no source for {_article(what)}; write a path of a datastore, "
            "azureml://subscriptions/ID/resourcegroups/GROUP/workspaces/NAME/datastores/NAME/paths/…"
        )
    return AzureML(text, **{**parts, "path": parts["path"].strip("/")})


def _climbs(path: str) -> bool:
    """Whether the path goes through folders that are none: ``a/../b``, ``a//b``, ``./a``."""
    return bool(path) and any(part in ("", ".", "..") for part in path.split("/"))


def _article(what: str) -> str:
    return {"model": "a model", "adapter": "an adapter"}.get(what, what)
